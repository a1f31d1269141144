package venuemesh

import (
	"context"
	"iter"

	common "github.com/venuemesh/venuemesh/clients/go/gen/common/v1"
	tradeflow "github.com/venuemesh/venuemesh/clients/go/gen/tradeflow/v1"
	"google.golang.org/grpc"
)

// Approve signs an order with the development key, where no real money is involved. Elsewhere an
// order authority makes the ApprovedOrder.
func (c *Client) Approve(
	ctx context.Context, content *tradeflow.OrderContent, requestID string,
) (*tradeflow.ApprovedOrder, error) {
	answer, err := c.Approvals.Approve(ctx, &tradeflow.ApproveRequest{Content: content, RequestId: requestID})
	if err != nil {
		return nil, err
	}
	return answer.Approved, nil
}

// Place places an approved order and returns it when the venue has answered. It may be repeated
// after an error: the same request id makes one order.
func (c *Client) Place(ctx context.Context, approved *tradeflow.ApprovedOrder) (*tradeflow.Order, error) {
	venue := approved.Content.Venue
	answer, err := c.TradeFlow.PlaceOrder(ctx, &tradeflow.PlaceOrderRequest{Venue: venue, Approved: approved})
	if err != nil {
		return nil, err
	}
	return answer.Order, nil
}

// Cancel cancels an order that protects no position; others need an approval. It may be repeated.
func (c *Client) Cancel(ctx context.Context, order *tradeflow.Order) (*tradeflow.Order, error) {
	answer, err := c.TradeFlow.CancelOrder(ctx, &tradeflow.CancelOrderRequest{
		Venue:         order.GetContent().GetVenue(),
		Account:       order.GetContent().GetAccount(),
		ClientOrderId: order.GetClientOrderId(),
	})
	if err != nil {
		return nil, err
	}
	return answer.Order, nil
}

// Executions streams the events of an account, first a snapshot. A stream that is lost is opened
// again after the last event; a snapshot follows if events were lost meanwhile. An error ends the
// iteration: the request was rejected, or the context has ended.
func (c *Client) Executions(
	ctx context.Context, venue, account string,
) iter.Seq2[*tradeflow.StreamExecutionsResponse, error] {
	var last *common.Cursor
	open := func(ctx context.Context) (grpc.ServerStreamingClient[tradeflow.StreamExecutionsResponse], error) {
		return c.TradeFlow.StreamExecutions(ctx, &tradeflow.StreamExecutionsRequest{
			Venue: venue, Account: account, ResumeAfter: last,
		})
	}
	return func(yield func(*tradeflow.StreamExecutionsResponse, error) bool) {
		for event, err := range follow(ctx, open) {
			switch {
			case err == nil:
				last = event.Cursor
				if !yield(event, nil) {
					return
				}
			case isRejected(err) || ctx.Err() != nil || Reason(err) == "UNKNOWN_ACCOUNT":
				yield(nil, err)
				return
			}
		}
	}
}
