// Command trades prints trades and gaps as they happen, until Ctrl-C.
package main

import (
	"context"
	"fmt"

	"github.com/venuemesh/venuemesh/clients/go"
	"github.com/venuemesh/venuemesh/clients/go/examples/internal/setup"
	common "github.com/venuemesh/venuemesh/clients/go/gen/common/v1"
	marketdata "github.com/venuemesh/venuemesh/clients/go/gen/marketdata/v1"
)

func main() { setup.Run(printTrades) }

func printTrades(ctx context.Context, client *venuemesh.Client, venue, symbol string) error {
	request := &marketdata.SubscribeRequest{
		Venue: venue, Symbols: []string{symbol}, Channels: []common.Channel{common.Channel_CHANNEL_TRADES},
	}
	for batch, err := range client.Subscribe(ctx, request) {
		if err != nil {
			return err
		}
		for _, gap := range batch.Gaps {
			fmt.Printf("gap %s %s\n", venuemesh.Word(gap.Reason), gap.Detail)
		}
		table, err := venuemesh.ReadBatch(batch)
		if err != nil {
			return err
		}
		for _, row := range table.Rows() {
			fmt.Printf("trade %s %s %s %s\n", row["symbol"], row["side"], row["price"], row["size"])
		}
	}
	return nil
}
