// Command book follows a book, proves it and prints its best levels.
package main

import (
	"context"
	"fmt"
	"time"

	"github.com/venuemesh/venuemesh/clients/go"
	"github.com/venuemesh/venuemesh/clients/go/examples/internal/setup"
	marketdata "github.com/venuemesh/venuemesh/clients/go/gen/marketdata/v1"
)

const (
	levels   = 5
	patience = 30 * time.Second
)

func main() { setup.Run(printBook) }

func printBook(ctx context.Context, client *venuemesh.Client, venue, symbol string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	book, err := client.ProvenBook(ctx, venue, symbol)
	if err != nil {
		return err
	}
	fmt.Printf("%s %s %s, cursor %d-%d, checksum %d\n",
		venue, symbol, book.State, book.Cursor.Epoch, book.Cursor.Sequence, book.Checksum())
	for index := min(levels, len(book.Asks)) - 1; index >= 0; index-- {
		fmt.Printf("ask %s %s\n", book.Asks[index].Price, book.Asks[index].Size)
	}
	for _, level := range book.Bids[:min(levels, len(book.Bids))] {
		fmt.Printf("bid %s %s\n", level.Price, level.Size)
	}
	verified, err := client.MarketData.VerifyBook(ctx, &marketdata.VerifyBookRequest{Venue: venue, Symbol: symbol})
	if err != nil {
		return err
	}
	fmt.Printf("compared with the venue: %s, %d levels, %d differ\n",
		venuemesh.Word(verified.Verdict), verified.LevelsCompared, verified.LevelsDifferent)
	return nil
}
