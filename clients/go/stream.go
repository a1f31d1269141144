package venuemesh

import (
	"context"
	"errors"
	"io"
	"iter"
	"math/rand/v2"
	"time"

	common "github.com/venuemesh/venuemesh/clients/go/gen/common/v1"
	marketdata "github.com/venuemesh/venuemesh/clients/go/gen/marketdata/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	delayFirst = 500 * time.Millisecond
	delayMax   = 10 * time.Second

	cursorExpired = "CURSOR_EXPIRED"
)

// Reason is the reason of an error of the mesh, as errors.proto lists them, such as
// "CURSOR_EXPIRED". It is "" for other errors.
func Reason(err error) string { return errorInfo(err).GetReason() }

func errorInfo(err error) *errdetails.ErrorInfo {
	for _, detail := range status.Convert(err).Details() {
		if info, isInfo := detail.(*errdetails.ErrorInfo); isInfo {
			return info
		}
	}
	return nil
}

// Subscribe streams the batches of a venue. A stream that is lost is opened again, with growing
// delays, after the last batch of each channel, so that nothing is missing and nothing is repeated.
// Where batches are no longer held, a batch without rows has a gap with the reason CURSOR_EXPIRED,
// and the earliest batches that are held follow. An error ends the iteration: the request was
// rejected, or the context has ended.
func (c *Client) Subscribe(
	ctx context.Context, request *marketdata.SubscribeRequest,
) iter.Seq2[*marketdata.MarketDataBatch, error] {
	return c.subscribe(ctx, request, false)
}

// SubscribeUntilExpired is like Subscribe, but where batches are no longer held the error
// CURSOR_EXPIRED ends the iteration, so that the caller can begin again, for example with a snapshot.
func (c *Client) SubscribeUntilExpired(
	ctx context.Context, request *marketdata.SubscribeRequest,
) iter.Seq2[*marketdata.MarketDataBatch, error] {
	return c.subscribe(ctx, request, true)
}

func (c *Client) subscribe(
	ctx context.Context, request *marketdata.SubscribeRequest, endsWhenExpired bool,
) iter.Seq2[*marketdata.MarketDataBatch, error] {
	return func(yield func(*marketdata.MarketDataBatch, error) bool) {
		position := newPosition(request)
		open := func(ctx context.Context) (grpc.ServerStreamingClient[marketdata.SubscribeResponse], error) {
			return c.MarketData.Subscribe(ctx, position.request())
		}
		for response, err := range follow(ctx, open) {
			if Reason(err) == cursorExpired && !endsWhenExpired {
				for _, batch := range position.expire(err) {
					if !yield(batch, nil) {
						return
					}
				}
				continue
			}
			if err != nil {
				if isRejected(err) || Reason(err) == cursorExpired || ctx.Err() != nil {
					yield(nil, err)
					return
				}
				continue
			}
			for _, batch := range response.Batches {
				position.take(batch)
				if !yield(batch, nil) {
					return
				}
			}
		}
	}
}

// follow opens a stream again whenever it ends. It yields messages and the error of each end; the
// caller decides which errors are the last.
func follow[Message any](
	ctx context.Context,
	open func(context.Context) (grpc.ServerStreamingClient[Message], error),
) iter.Seq2[*Message, error] {
	return func(yield func(*Message, error) bool) {
		for failures := 0; ; failures++ {
			goesOn, received, err := readStream(ctx, open, yield)
			if !goesOn || !yield(nil, err) {
				return
			}
			if received {
				// Only a message resets the delay: a server may close each stream at once.
				failures = 0
			}
			if err := pause(ctx, failures); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

func readStream[Message any](
	ctx context.Context,
	open func(context.Context) (grpc.ServerStreamingClient[Message], error),
	yield func(*Message, error) bool,
) (goesOn, received bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := open(ctx)
	if err != nil {
		return true, false, err
	}
	for {
		message, err := stream.Recv()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = status.Error(codes.Unavailable, "the stream has ended")
			}
			return true, received, err
		}
		received = true
		if !yield(message, nil) {
			return false, received, nil
		}
	}
}

// pause waits half a second, doubled with each failure up to ten, less a random part of a half.
func pause(ctx context.Context, failures int) error {
	full := min(delayMax, delayFirst<<min(failures, 10))
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(full - time.Duration(rand.Float64()*float64(full)/2)):
		return nil
	}
}

// isRejected says whether the same call would fail again.
func isRejected(err error) bool {
	switch status.Code(err) {
	case codes.InvalidArgument, codes.FailedPrecondition, codes.Unimplemented,
		codes.PermissionDenied, codes.Unauthenticated:
		return true
	}
	// A venue that is not registered may be starting; an unlisted instrument stays unlisted.
	return Reason(err) == "UNKNOWN_INSTRUMENT" || Reason(err) == "UNKNOWN_VENUE"
}

// position is where a subscription has come to in each channel.
type position struct {
	first   *marketdata.SubscribeRequest
	cursors map[common.Channel]*common.Cursor
	startAt marketdata.StartAt
}

func newPosition(request *marketdata.SubscribeRequest) *position {
	cursors := map[common.Channel]*common.Cursor{}
	for _, resume := range request.ResumeAfter {
		cursors[resume.Channel] = resume.Cursor
	}
	return &position{request, cursors, request.StartAt}
}

func (p *position) request() *marketdata.SubscribeRequest {
	request := &marketdata.SubscribeRequest{
		Venue: p.first.Venue, Channels: p.first.Channels, Symbols: p.first.Symbols, StartAt: p.startAt,
	}
	for _, channel := range p.first.Channels {
		if cursor := p.cursors[channel]; cursor != nil {
			request.ResumeAfter = append(request.ResumeAfter, &common.ChannelCursor{Channel: channel, Cursor: cursor})
		}
	}
	return request
}

func (p *position) take(batch *marketdata.MarketDataBatch) {
	if batch.Cursor != nil {
		p.cursors[batch.Channel] = batch.Cursor
	}
}

// expire begins again with the earliest batches of the channel whose cursor is not held, and returns
// its gap.
func (p *position) expire(err error) []*marketdata.MarketDataBatch {
	var gaps []*marketdata.MarketDataBatch
	expired := errorInfo(err).GetMetadata()["channel"]
	for _, channel := range p.first.Channels {
		if p.cursors[channel] != nil && (expired == "" || expired == Word(channel)) {
			delete(p.cursors, channel)
			gaps = append(gaps, &marketdata.MarketDataBatch{
				Venue: p.first.Venue, Channel: channel,
				Gaps: []*common.Gap{{
					Reason:         common.GapReason_GAP_REASON_CURSOR_EXPIRED,
					DetectedTimeNs: time.Now().UnixNano(),
					Detail:         status.Convert(err).Message(),
				}},
			})
		}
	}
	p.startAt = marketdata.StartAt_START_AT_EARLIEST
	return gaps
}
