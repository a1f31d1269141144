package venuemesh

import (
	"fmt"
	"strings"

	marketdata "github.com/venuemesh/venuemesh/clients/go/gen/marketdata/v1"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Table holds the rows of one batch. All columns have the same length. A row of the book is one
// level of an update; its side is "bid" or "ask".
type Table struct {
	// Channel is trades, quotes, book, tickers, marks, candles, status or frames; "" without rows.
	Channel string
	// Names are the columns in the order of the contract, after "symbol".
	Names []string
	// Columns by name. A cell is a Decimal (prices, sizes, rates), an int64 (times), a uint64 (other
	// numbers), a string (texts, and enums in lower case, "" if not set), a bool, or []byte.
	Columns map[string][]any
	count   int
}

// Row is one row of a Table, by the names of its columns.
type Row map[string]any

// ReadBatch returns the rows of a batch. A batch of which columns differ in length, or rows name an
// instrument that it does not have, is an error.
func ReadBatch(batch *marketdata.MarketDataBatch) (Table, error) {
	message := batch.ProtoReflect()
	field := message.WhichOneof(message.Descriptor().Oneofs().ByName("columns"))
	if field == nil {
		return Table{Columns: map[string][]any{}}, nil
	}
	reader := tableReader{batch, message.Get(field).Message(), nil, nil}
	table := Table{Channel: string(field.Name()), Names: []string{"symbol"}, Columns: map[string][]any{}}
	if err := reader.expand(table.Channel == "book"); err != nil {
		return Table{}, fmt.Errorf("batch of %s: %w", table.Channel, err)
	}
	table.count = len(reader.rows)
	for _, row := range reader.rows {
		table.Columns["symbol"] = append(table.Columns["symbol"], batch.Instruments[row.instrument].Symbol)
		if table.Channel == "book" {
			table.Columns["side"] = append(table.Columns["side"], row.side)
		}
	}
	if table.Channel == "book" {
		table.Names = append(table.Names, "side")
	}
	fields := reader.columns.Descriptor().Fields()
	for index := range fields.Len() {
		column := fields.Get(index)
		name := string(column.Name())
		if name == "instrument" || name == "bid_count" || name == "ask_count" {
			continue
		}
		cells, err := reader.cells(column)
		if err != nil {
			return Table{}, fmt.Errorf("batch of %s: %w", table.Channel, err)
		}
		table.Names = append(table.Names, name)
		table.Columns[name] = cells
	}
	return table, nil
}

// Len is the number of rows.
func (t Table) Len() int { return t.count }

// Rows returns the same cells by row.
func (t Table) Rows() []Row {
	rows := make([]Row, t.count)
	for index := range rows {
		rows[index] = Row{}
		for name, cells := range t.Columns {
			rows[index][name] = cells[index]
		}
	}
	return rows
}

// tableRow says where the cells of a row are: in columns of updates and in columns of levels.
type tableRow struct {
	instrument    uint64
	update, level int
	side          string
}

type tableReader struct {
	batch   *marketdata.MarketDataBatch
	columns protoreflect.Message
	rows    []tableRow
	// Lengths by name of columns that do not have one element for each update.
	lengths map[string]int
}

func (r *tableReader) expand(levels bool) error {
	instruments := r.list("instrument")
	if levels {
		r.lengths = map[string]int{"price": 0, "size": 0}
	}
	level := 0
	for update := range instruments.Len() {
		instrument := instruments.Get(update).Uint()
		if instrument >= uint64(len(r.batch.Instruments)) {
			return fmt.Errorf("row %d names instrument %d of %d", update, instrument, len(r.batch.Instruments))
		}
		if !levels {
			r.rows = append(r.rows, tableRow{instrument, update, update, ""})
			continue
		}
		for _, side := range []string{"bid", "ask"} {
			counts := r.list(side + "_count")
			if counts.Len() != instruments.Len() {
				return fmt.Errorf("%d updates, but %s_count has %d", instruments.Len(), side, counts.Len())
			}
			end := level + int(counts.Get(update).Uint())
			if end > r.list("price").Len() {
				return fmt.Errorf("update %d has levels up to %d of %d", update, end, r.list("price").Len())
			}
			for ; level < end; level++ {
				r.rows = append(r.rows, tableRow{instrument, update, level, side})
			}
		}
	}
	if levels {
		r.lengths = map[string]int{"price": level, "size": level}
	}
	return nil
}

func (r *tableReader) list(name string) protoreflect.List {
	return r.columns.Get(r.columns.Descriptor().Fields().ByName(protoreflect.Name(name))).List()
}

func (r *tableReader) cells(column protoreflect.FieldDescriptor) ([]any, error) {
	name := string(column.Name())
	list := r.list(name)
	expected, isLevel := r.lengths[name]
	if !isLevel {
		expected = r.list("instrument").Len()
	}
	// A column of texts that no row has is empty.
	absent := column.Kind() == protoreflect.StringKind && list.Len() == 0
	if list.Len() != expected && !absent {
		return nil, fmt.Errorf("column %s has %d elements, not %d", name, list.Len(), expected)
	}
	cells := make([]any, 0, len(r.rows))
	for _, row := range r.rows {
		if absent {
			cells = append(cells, "")
			continue
		}
		index := row.update
		if isLevel {
			index = row.level
		}
		cells = append(cells, cell(column, list.Get(index), r.batch.Instruments[row.instrument]))
	}
	return cells, nil
}

func cell(column protoreflect.FieldDescriptor, value protoreflect.Value, of *marketdata.InstrumentEntry) any {
	switch column.Kind() {
	// In a batch exactly the scaled numbers are sint64.
	case protoreflect.Sint64Kind:
		return Decimal{value.Int(), scaleOf(string(column.Name()), of)}
	case protoreflect.EnumKind:
		return enumText(column.Enum(), value.Enum())
	case protoreflect.Int64Kind, protoreflect.Sfixed64Kind:
		return value.Int()
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind:
		return value.Uint()
	case protoreflect.MessageKind:
		return value.Message().Interface()
	}
	return value.Interface()
}

func scaleOf(name string, of *marketdata.InstrumentEntry) uint32 {
	switch {
	case strings.HasSuffix(name, "rate"):
		return of.RateScale
	case strings.HasSuffix(name, "size"), name == "volume":
		return of.SizeScale
	}
	return of.PriceScale
}

// Word is the short name of a value of an enum: "buy" of SIDE_BUY, "" of an unspecified one.
func Word(value protoreflect.Enum) string {
	return enumText(value.Descriptor(), value.Number())
}

// All values of an enum begin with the name that ends with UNSPECIFIED.
func enumText(enum protoreflect.EnumDescriptor, number protoreflect.EnumNumber) string {
	if number == 0 {
		return ""
	}
	value := enum.Values().ByNumber(number)
	if value == nil {
		return fmt.Sprint(number)
	}
	prefix := strings.TrimSuffix(string(enum.Values().ByNumber(0).Name()), "UNSPECIFIED")
	return strings.ToLower(strings.TrimPrefix(string(value.Name()), prefix))
}
