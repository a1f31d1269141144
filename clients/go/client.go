// Package venuemesh reads market data and the record of a mesh, and places orders.
package venuemesh

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"time"

	history "github.com/venuemesh/venuemesh/clients/go/gen/history/v1"
	inspector "github.com/venuemesh/venuemesh/clients/go/gen/inspector/v1"
	marketdata "github.com/venuemesh/venuemesh/clients/go/gen/marketdata/v1"
	tradeflow "github.com/venuemesh/venuemesh/clients/go/gen/tradeflow/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// messageBytesMax bounds one message, as in the mesh itself.
const messageBytesMax = 64 << 20

// Client is a connection to the gateway of a mesh. Other services than those named here are called
// by their stubs over Connection.
type Client struct {
	Connection *grpc.ClientConn
	MarketData marketdata.MarketDataClient
	History    history.HistoryClient
	TradeFlow  tradeflow.TradeFlowClient
	Inspector  inspector.InspectorClient
}

// Connect prepares a connection, which is made with the first call. The gateway is "https://host",
// with or without a port, or "host:port" for a connection without TLS. Each call shows the token. It
// is an error if the token would go to another machine without TLS; ConnectPlaintext allows it.
func Connect(gateway, token string, options ...grpc.DialOption) (*Client, error) {
	address := strings.TrimPrefix(strings.TrimSuffix(gateway, "/"), "http://")
	if token != "" && !strings.HasPrefix(address, "https://") && !isLoopback(address) {
		return nil, fmt.Errorf(
			"gateway %q: the token would be readable on its way; use https://%s, or allow it with ConnectPlaintext",
			gateway, address,
		)
	}
	return ConnectPlaintext(gateway, token, options...)
}

// ConnectPlaintext is like Connect, and also sends the token to another machine without TLS.
func ConnectPlaintext(gateway, token string, options ...grpc.DialOption) (*Client, error) {
	address, transport := strings.TrimPrefix(strings.TrimSuffix(gateway, "/"), "http://"), insecure.NewCredentials()
	if host, isTLS := strings.CutPrefix(address, "https://"); isTLS {
		address, transport = host, credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12})
		if !strings.Contains(address, ":") {
			address += ":443"
		}
	}
	options = append([]grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithPerRPCCredentials(bearer(token)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(messageBytesMax)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}),
	}, options...)
	connection, err := grpc.NewClient(address, options...)
	if err != nil {
		return nil, fmt.Errorf("gateway %q: %w", gateway, err)
	}
	return &Client{
		Connection: connection,
		MarketData: marketdata.NewMarketDataClient(connection),
		History:    history.NewHistoryClient(connection),
		TradeFlow:  tradeflow.NewTradeFlowClient(connection),
		Inspector:  inspector.NewInspectorClient(connection),
	}, nil
}

// Close ends all calls.
func (c *Client) Close() error { return c.Connection.Close() }

// isLoopback says whether a connection to "host:port" stays on this machine.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	parsed := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || parsed != nil && parsed.IsLoopback()
}

type bearer string

func (token bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	if token == "" {
		return nil, nil
	}
	return map[string]string{"authorization": "Bearer " + string(token)}, nil
}

func (bearer) RequireTransportSecurity() bool { return false }
