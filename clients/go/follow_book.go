package venuemesh

import (
	"context"
	"fmt"
	"iter"

	common "github.com/venuemesh/venuemesh/clients/go/gen/common/v1"
	marketdata "github.com/venuemesh/venuemesh/clients/go/gen/marketdata/v1"
)

// bookDepth is the most levels that GetOrderBook answers.
const bookDepth = 5000

// FollowBook yields the book of an instrument after every change: first as GetOrderBook answers it,
// then after each batch of the channel BOOK. Where batches are no longer held, it is in doubt, and
// begins again with GetOrderBook. The same Book is yielded each time.
func (c *Client) FollowBook(ctx context.Context, venue, symbol string) iter.Seq2[*Book, error] {
	return func(yield func(*Book, error) bool) {
		book := NewBook(symbol)
		err := c.beginBook(ctx, venue, book)
		for failures := 0; ; failures++ {
			if !yield(book, err) || err != nil {
				return
			}
			channel := common.Channel_CHANNEL_BOOK
			request := &marketdata.SubscribeRequest{
				Venue: venue, Channels: []common.Channel{channel}, Symbols: []string{symbol},
				ResumeAfter: []*common.ChannelCursor{{Channel: channel, Cursor: book.Cursor}},
			}
			for batch, err := range c.SubscribeUntilExpired(ctx, request) {
				if Reason(err) == cursorExpired {
					break
				}
				hasEnded := err != nil
				if !hasEnded {
					failures = 0
					err = book.Apply(batch)
				}
				if !yield(book, err) || hasEnded {
					return
				}
			}
			book.doubt()
			if !yield(book, nil) {
				return
			}
			err = c.beginAgain(ctx, venue, book, failures)
		}
	}
}

// beginAgain repeats beginBook while the mesh cannot be reached.
func (c *Client) beginAgain(ctx context.Context, venue string, book *Book, failures int) error {
	for ; ; failures++ {
		if err := pause(ctx, failures); err != nil {
			return err
		}
		if err := c.beginBook(ctx, venue, book); err == nil || isRejected(err) {
			return err
		}
	}
}

// beginBook makes the book the one that GetOrderBook answers.
func (c *Client) beginBook(ctx context.Context, venue string, book *Book) error {
	answer, err := c.orderBook(ctx, venue, book.Symbol, bookDepth)
	if err != nil {
		return err
	}
	begun, err := BookFrom(answer)
	if err == nil {
		*book = *begun
	}
	return err
}

// ProvenBook follows a book until its checksum is the one that the mesh answers for the same cursor,
// after at least one batch. A book whose checksum differs is an error.
func (c *Client) ProvenBook(ctx context.Context, venue, symbol string) (*Book, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan *marketdata.GetOrderBookResponse, 1)
	isAsking := false
	var answer *marketdata.GetOrderBookResponse
	var passed []passedCursor
	for book, err := range c.FollowBook(ctx, venue, symbol) {
		if err != nil {
			return nil, err
		}
		if book.State != BookProven && book.State != BookUnproven {
			passed, answer = nil, nil
			continue
		}
		passed = append(passed, passedCursor{book.Cursor, book.Checksum()})
		if !isAsking && answer == nil {
			isAsking = true
			go func() {
				asked, _ := c.orderBook(ctx, venue, symbol, 1)
				answers <- asked
			}()
		}
		select {
		case answer = <-answers:
			isAsking = false
		default:
		}
		if answer == nil || isBefore(book.Cursor, answer.Cursor) {
			continue
		}
		if checksum, isKnown := checksumAt(passed, answer.Cursor); isKnown {
			if checksum != answer.Checksum {
				return nil, fmt.Errorf("checksum of %s is %d, not %d", symbol, checksum, answer.Checksum)
			}
			return book, nil
		}
		answer = nil
	}
	return nil, ctx.Err()
}

// passedCursor is a cursor and the checksum of the book at it.
type passedCursor struct {
	cursor   *common.Cursor
	checksum uint32
}

// checksumAt is that of the last batch up to a cursor: batches that do not concern the book are not
// sent. It is not known where the book began later.
func checksumAt(passed []passedCursor, cursor *common.Cursor) (checksum uint32, isKnown bool) {
	for _, at := range passed {
		if !isBefore(cursor, at.cursor) {
			checksum, isKnown = at.checksum, true
		}
	}
	return checksum, isKnown
}

func isBefore(left, right *common.Cursor) bool {
	if left.GetEpoch() != right.GetEpoch() {
		return left.GetEpoch() < right.GetEpoch()
	}
	return left.GetSequence() < right.GetSequence()
}

func (c *Client) orderBook(
	ctx context.Context, venue, symbol string, depth uint32,
) (*marketdata.GetOrderBookResponse, error) {
	return c.MarketData.GetOrderBook(ctx, &marketdata.GetOrderBookRequest{
		Venue: venue, Symbol: symbol, Depth: depth,
	})
}
