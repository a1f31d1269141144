package venuemesh

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"testing"

	history "github.com/venuemesh/venuemesh/clients/go/gen/history/v1"
	marketdata "github.com/venuemesh/venuemesh/clients/go/gen/marketdata/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// The vectors of ../vectors, made by the readers in Python.
type batchVector struct {
	Name, Batch, Cursor, Channel string
	Gaps                         [][]string
	Malformed                    bool
	Columns                      map[string][]any
}

type bookState struct {
	State        string      `json:"state"`
	Epoch        uint32      `json:"epoch"`
	LastSequence string      `json:"last_sequence"`
	Cursor       string      `json:"cursor"`
	Bids         [][2]string `json:"bids"`
	Asks         [][2]string `json:"asks"`
	Checksum     uint32      `json:"checksum"`
}

type bookStep struct {
	Batch     string
	Malformed bool
	bookState
}

type bookVector struct {
	Name, Symbol string
	Answer       *string
	Begun        bookState
	Steps        []bookStep
}

func TestBatches(t *testing.T) {
	for _, vector := range load[batchVector](t, "batches.json") {
		t.Run(vector.Name, func(t *testing.T) {
			batch := decode(t, vector.Batch, &marketdata.MarketDataBatch{})
			cursor := fmt.Sprintf("%d-%d", batch.GetCursor().GetEpoch(), batch.GetCursor().GetSequence())
			if cursor != vector.Cursor {
				t.Errorf("cursor %s, not %s", cursor, vector.Cursor)
			}
			gaps := [][]string{}
			for _, gap := range batch.Gaps {
				gaps = append(gaps, []string{gap.Symbol, Word(gap.Reason), gap.Detail})
			}
			if !reflect.DeepEqual(gaps, vector.Gaps) {
				t.Errorf("gaps %v, not %v", gaps, vector.Gaps)
			}
			table, err := ReadBatch(batch)
			if (err != nil) != vector.Malformed {
				t.Fatalf("malformed is %v, but the error is %v", vector.Malformed, err)
			}
			if vector.Malformed {
				return
			}
			columns := map[string][]any{}
			for name, cells := range table.Columns {
				columns[name] = []any{}
				for _, cell := range cells {
					columns[name] = append(columns[name], asJSON(t, cell))
				}
			}
			if table.Channel != vector.Channel || !reflect.DeepEqual(columns, vector.Columns) {
				t.Errorf("%s %v, not %s %v", table.Channel, columns, vector.Channel, vector.Columns)
			}
		})
	}
}

func TestBooks(t *testing.T) {
	for _, vector := range load[bookVector](t, "books.json") {
		t.Run(vector.Name, func(t *testing.T) {
			book := NewBook(vector.Symbol)
			if vector.Answer != nil {
				var err error
				if book, err = BookFrom(decode(t, *vector.Answer, &marketdata.GetOrderBookResponse{})); err != nil {
					t.Fatal(err)
				}
			}
			compare(t, "at the start", book, vector.Begun)
			for number, step := range vector.Steps {
				err := book.Apply(decode(t, step.Batch, &marketdata.MarketDataBatch{}))
				if (err != nil) != step.Malformed {
					t.Fatalf("malformed is %v, but the error is %v", step.Malformed, err)
				}
				compare(t, fmt.Sprintf("after step %d", number), book, step.bookState)
			}
		})
	}
}

func TestPages(t *testing.T) {
	next := map[string]string{"": "b", "b": "c", "c": ""}
	var asked []string
	list := func(_ context.Context, request *history.ListTradesRequest, _ ...grpc.CallOption) (*history.ListTradesResponse, error) {
		asked = append(asked, request.Symbol+request.PageToken)
		return &history.ListTradesResponse{NextPageToken: next[request.PageToken]}, nil
	}
	for _, err := range Pages(context.Background(), list, &history.ListTradesRequest{Symbol: "X"}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if fmt.Sprint(asked) != "[X Xb Xc]" {
		t.Errorf("asked for %v", asked)
	}
}

func load[Vector any](t *testing.T, file string) []Vector {
	t.Helper()
	content, err := os.ReadFile("../vectors/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var vectors []Vector
	if err := json.Unmarshal(content, &vectors); err != nil || len(vectors) == 0 {
		t.Fatalf("%d vectors in %s: %v", len(vectors), file, err)
	}
	return vectors
}

func decode[Message proto.Message](t *testing.T, text string, message Message) Message {
	t.Helper()
	content, err := base64.StdEncoding.DecodeString(text)
	if err == nil {
		err = proto.Unmarshal(content, message)
	}
	if err != nil {
		t.Fatal(err)
	}
	return message
}

// asJSON is a cell as the vectors have it.
func asJSON(t *testing.T, cell any) any {
	t.Helper()
	switch value := cell.(type) {
	case proto.Message:
		content, err := protojson.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		var object map[string]any
		if err := json.Unmarshal(content, &object); err != nil {
			t.Fatal(err)
		}
		return object
	case []byte:
		return base64.StdEncoding.EncodeToString(value)
	case bool:
		return value
	}
	return fmt.Sprint(cell)
}

func compare(t *testing.T, when string, book *Book, wanted bookState) {
	t.Helper()
	state := bookState{
		string(book.State), book.Epoch, fmt.Sprint(book.LastSequence),
		fmt.Sprintf("%d-%d", book.Cursor.GetEpoch(), book.Cursor.GetSequence()),
		texts(book.Bids), texts(book.Asks), book.Checksum(),
	}
	if !reflect.DeepEqual(state, wanted) {
		t.Errorf("%s: %v, not %v", when, state, wanted)
	}
}

func texts(levels []Level) [][2]string {
	found := [][2]string{}
	for _, level := range levels {
		found = append(found, [2]string{level.Price.String(), level.Size.String()})
	}
	return found
}
