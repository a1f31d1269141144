// Command order buys a small amount at the market and follows the order until it is final.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/venuemesh/venuemesh/clients/go"
	"github.com/venuemesh/venuemesh/clients/go/examples/internal/setup"
	common "github.com/venuemesh/venuemesh/clients/go/gen/common/v1"
	tradeflow "github.com/venuemesh/venuemesh/clients/go/gen/tradeflow/v1"
)

func main() { setup.Run(placeOrder) }

func placeOrder(ctx context.Context, client *venuemesh.Client, venue, symbol string) error {
	accounts, err := client.TradeFlow.ListAccounts(ctx, &tradeflow.ListAccountsRequest{Venue: venue})
	if err != nil {
		return err
	}
	if len(accounts.Accounts) == 0 {
		return fmt.Errorf("%s has no account", venue)
	}
	account := accounts.Accounts[0].Account
	content := &tradeflow.OrderContent{
		Venue: venue, Account: account, Symbol: symbol, Side: common.Side_SIDE_BUY,
		Type: tradeflow.OrderType_ORDER_TYPE_MARKET, Size: "0.001",
	}
	requestID := fmt.Sprintf("go-%d", time.Now().UnixNano())
	var placed *tradeflow.Order
	for event, err := range client.Executions(ctx, venue, account) {
		if err != nil {
			return err
		}
		if event.GetSnapshot() != nil && placed == nil {
			orders, err := client.Place(ctx, requestID, content)
			if err != nil {
				return err
			}
			placed = orders[0]
			fmt.Printf("placed %s\n", placed.ClientOrderId)
		}
		order := event.GetOrder()
		if order.GetClientOrderId() != placed.GetClientOrderId() {
			continue
		}
		fmt.Printf("%s, filled %s at %s\n", venuemesh.Word(order.State), order.FilledSize, order.AveragePrice)
		if order.State >= tradeflow.OrderState_ORDER_STATE_FILLED {
			return nil
		}
	}
	return errors.New("the stream has ended")
}
