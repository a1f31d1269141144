package venuemesh

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"strings"

	common "github.com/venuemesh/venuemesh/clients/go/gen/common/v1"
	events "github.com/venuemesh/venuemesh/clients/go/gen/events/v1"
	inspector "github.com/venuemesh/venuemesh/clients/go/gen/inspector/v1"
	tradeflow "github.com/venuemesh/venuemesh/clients/go/gen/tradeflow/v1"
	"google.golang.org/grpc"
)

// NotPlaced says why an order was not placed, or that this is not known. Answer has the details.
type NotPlaced struct {
	Answer *inspector.SubmitManualResponse
}

func (n *NotPlaced) Error() string {
	verdict, submitted := n.Answer.GetVerdict(), n.Answer.GetSubmitted()
	if verdict.GetVerdict() != events.Verdict_VERDICT_ALLOW {
		var blocked []string
		for _, check := range verdict.GetChecks() {
			if check.Result == events.CheckResult_CHECK_RESULT_BLOCKED {
				value := cmp.Or(check.Projected, check.Observed)
				text := fmt.Sprintf("%s is %s, limit %s %s", check.Name, value, check.Limit, check.Detail)
				blocked = append(blocked, strings.TrimSpace(text))
			}
		}
		return "blocked: " + strings.Join(blocked, "; ")
	}
	if submitted == nil {
		return "not known yet: ask again with the same request id"
	}
	return cmp.Or(submitted.RefusalReason, "the approval has ended") + ": " + submitted.Detail
}

// Place has the inspector check an order, approve it and place it, together with the other orders
// of its group. It returns them when the venue has answered, or a *NotPlaced. It may be repeated
// after an error: the same request id makes one order.
func (c *Client) Place(
	ctx context.Context, requestID string, content *tradeflow.OrderContent, others ...*tradeflow.OrderContent,
) ([]*tradeflow.Order, error) {
	answer, err := c.Inspector.SubmitManual(ctx, &inspector.SubmitManualRequest{
		RequestId: requestID,
		Operation: tradeflow.Operation_OPERATION_PLACE,
		Content:   content,
		Others:    others,
	})
	if err != nil {
		return nil, err
	}
	if answer.GetSubmitted().GetOutcome() != events.SubmissionOutcome_SUBMISSION_OUTCOME_TAKEN {
		return nil, &NotPlaced{Answer: answer}
	}
	return answer.Submitted.Orders, nil
}

// Cancel cancels an order; one that protects a position needs the role operator, or SubmitManual. It
// works without the inspector, and may be repeated.
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
