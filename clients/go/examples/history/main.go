// Command history prints the recorded trades of the last hour, page by page.
package main

import (
	"context"
	"fmt"
	"time"

	"github.com/venuemesh/venuemesh/clients/go"
	"github.com/venuemesh/venuemesh/clients/go/examples/internal/setup"
	history "github.com/venuemesh/venuemesh/clients/go/gen/history/v1"
)

func main() { setup.Run(printHistory) }

func printHistory(ctx context.Context, client *venuemesh.Client, venue, symbol string) error {
	request := &history.ListTradesRequest{
		Venue: venue, Symbol: symbol,
		Range: &history.TimeRange{StartTimeNs: time.Now().Add(-time.Hour).UnixNano()},
	}
	pages, trades := 0, 0
	for page, err := range venuemesh.Pages(ctx, client.History.ListTrades, request) {
		if err != nil {
			return err
		}
		pages++
		for _, trade := range page.Trades {
			trades++
			fmt.Printf("trade %s %s %s\n", time.Unix(0, trade.VenueTimeNs).UTC(), trade.Price, trade.Size)
		}
	}
	fmt.Printf("%d trades on %d pages\n", trades, pages)
	return nil
}
