package venuemesh

import (
	"fmt"
	"hash/crc32"
	"slices"
	"strings"

	common "github.com/venuemesh/venuemesh/clients/go/gen/common/v1"
	marketdata "github.com/venuemesh/venuemesh/clients/go/gen/marketdata/v1"
)

// BookState says whether a book is exact.
type BookState string

const (
	// BookEmpty: no snapshot yet.
	BookEmpty BookState = "empty"
	// BookProven: every update since the snapshot is applied.
	BookProven BookState = "proven"
	// BookInDoubt: an update is missing. The levels are the last known ones and may be wrong.
	BookInDoubt BookState = "in_doubt"
	// BookUnproven: no fault is known, but the venue offers no proof.
	BookUnproven BookState = "unproven"
)

// checksumLevels is the number of levels of either side in a checksum.
const checksumLevels = 25

// Level is one price of a book.
type Level struct {
	Price, Size Decimal
}

// Book is the order book of one instrument, made of a snapshot and the updates after it.
type Book struct {
	Symbol       string
	State        BookState
	Epoch        uint32
	LastSequence uint64
	// Cursor is that of the last batch, or of the response with which the book began.
	Cursor *common.Cursor
	// Bids from the highest price, Asks from the lowest.
	Bids, Asks []Level
	// What a snapshot makes of the book: unproven at a venue that offers no proof.
	whole BookState
}

// NewBook returns a book that waits for a snapshot.
func NewBook(symbol string) *Book {
	return &Book{Symbol: symbol, State: BookEmpty, whole: BookProven}
}

// BookFrom returns the book that GetOrderBook has answered. The batches after its cursor continue it.
func BookFrom(answer *marketdata.GetOrderBookResponse) (*Book, error) {
	book := NewBook(answer.Symbol)
	book.Epoch, book.LastSequence, book.Cursor = answer.BookEpoch, answer.LastSequence, answer.Cursor
	switch answer.State {
	case marketdata.BookState_BOOK_STATE_PROVEN:
		book.State = BookProven
	case marketdata.BookState_BOOK_STATE_IN_DOUBT:
		book.State = BookInDoubt
	case marketdata.BookState_BOOK_STATE_UNPROVEN:
		book.State, book.whole = BookUnproven, BookUnproven
	}
	var err error
	if book.Bids, err = parseLevels(answer.Bids); err != nil {
		return nil, err
	}
	book.Asks, err = parseLevels(answer.Asks)
	return book, err
}

// Apply takes the next batch of the channel BOOK. Gaps of a batch come before its rows. On an error
// the book is in doubt.
func (b *Book) Apply(batch *marketdata.MarketDataBatch) error {
	if batch.Cursor != nil {
		b.Cursor = batch.Cursor
	}
	for _, gap := range batch.Gaps {
		if gap.Symbol == "" || gap.Symbol == b.Symbol {
			b.doubt()
		}
	}
	columns := batch.GetBook()
	if columns == nil {
		return nil
	}
	if err := b.applyRows(batch.Instruments, columns); err != nil {
		b.doubt()
		return err
	}
	return nil
}

func (b *Book) doubt() {
	if b.State != BookEmpty {
		b.State = BookInDoubt
	}
}

func (b *Book) applyRows(instruments []*marketdata.InstrumentEntry, columns *marketdata.BookColumns) error {
	if err := checkBookColumns(columns, len(instruments)); err != nil {
		return err
	}
	start := 0
	for row, position := range columns.Instrument {
		middle := start + int(columns.BidCount[row])
		end := middle + int(columns.AskCount[row])
		if entry := instruments[position]; entry.Symbol == b.Symbol {
			b.applyUpdate(columns, row, readLevels(entry, columns, start, middle), readLevels(entry, columns, middle, end))
		}
		start = end
	}
	return nil
}

func (b *Book) applyUpdate(columns *marketdata.BookColumns, row int, bids, asks []Level) {
	if columns.Snapshot[row] {
		b.State, b.Epoch, b.Bids, b.Asks = b.whole, columns.BookEpoch[row], nil, nil
	} else if b.State != b.whole || columns.BookEpoch[row] != b.Epoch {
		// An update of another epoch, or after a gap, belongs to a book that we do not have.
		return
	}
	b.LastSequence = columns.LastSequence[row]
	b.Bids = merge(b.Bids, bids, -1)
	b.Asks = merge(b.Asks, asks, 1)
}

// Checksum is what GetOrderBook answers for the same book: see GetOrderBookResponse.checksum.
func (b *Book) Checksum() uint32 {
	var parts []string
	for index := range checksumLevels {
		for _, side := range [][]Level{b.Bids, b.Asks} {
			if index < len(side) {
				parts = append(parts, side[index].Price.String(), side[index].Size.String())
			}
		}
	}
	return crc32.ChecksumIEEE([]byte(strings.Join(parts, ":")))
}

func checkBookColumns(columns *marketdata.BookColumns, instruments int) error {
	count := len(columns.Instrument)
	lengths := []int{
		len(columns.FirstSequence), len(columns.LastSequence), len(columns.Snapshot),
		len(columns.BookEpoch), len(columns.BidCount), len(columns.AskCount),
	}
	levels := 0
	for row, position := range columns.Instrument {
		if int(position) >= instruments {
			return fmt.Errorf("update %d of a book names instrument %d of %d", row, position, instruments)
		}
	}
	for _, length := range lengths {
		if length != count {
			return fmt.Errorf("columns of %d book updates have lengths %v", count, lengths)
		}
	}
	for row := range count {
		levels += int(columns.BidCount[row]) + int(columns.AskCount[row])
	}
	if levels != len(columns.Price) || levels != len(columns.Size) {
		return fmt.Errorf("%d levels of a book have %d prices and %d sizes", levels, len(columns.Price), len(columns.Size))
	}
	return nil
}

func readLevels(entry *marketdata.InstrumentEntry, columns *marketdata.BookColumns, start, end int) []Level {
	levels := make([]Level, 0, end-start)
	for index := start; index < end; index++ {
		levels = append(levels, Level{
			Decimal{columns.Price[index], entry.PriceScale},
			Decimal{columns.Size[index], entry.SizeScale},
		})
	}
	return levels
}

// merge applies changes to levels; size 0 removes. direction is 1 for ascending prices, else -1.
func merge(levels, changes []Level, direction int) []Level {
	for _, change := range changes {
		index, found := slices.BinarySearchFunc(levels, change, func(left, right Level) int {
			return direction * left.Price.Compare(right.Price)
		})
		switch {
		case found && change.Size.Unscaled == 0:
			levels = slices.Delete(levels, index, index+1)
		case found:
			levels[index] = change
		case change.Size.Unscaled != 0:
			levels = slices.Insert(levels, index, change)
		}
	}
	return levels
}

func parseLevels(answered []*marketdata.Level) ([]Level, error) {
	levels := make([]Level, 0, len(answered))
	for _, level := range answered {
		price, err := ParseDecimal(level.Price)
		if err != nil {
			return nil, err
		}
		size, err := ParseDecimal(level.Size)
		if err != nil {
			return nil, err
		}
		levels = append(levels, Level{price, size})
	}
	return levels, nil
}
