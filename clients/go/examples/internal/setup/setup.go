// Package setup is common to the examples: arguments, environment and Ctrl-C.
package setup

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/venuemesh/venuemesh/clients/go"
)

// Run connects and runs an example with the venue and the symbol of the command line. The gateway is
// VENUEMESH_GATEWAY, by default that of a mesh on this machine; the token is VENUEMESH_TOKEN.
func Run(example func(ctx context.Context, client *venuemesh.Client, venue, symbol string) error) {
	if err := run(example); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(example func(context.Context, *venuemesh.Client, string, string) error) error {
	if len(os.Args) != 3 {
		return fmt.Errorf("usage: %s VENUE SYMBOL", os.Args[0])
	}
	gateway := os.Getenv("VENUEMESH_GATEWAY")
	if gateway == "" {
		gateway = "127.0.0.1:8081"
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	client, err := venuemesh.Connect(gateway, os.Getenv("VENUEMESH_TOKEN"))
	if err != nil {
		return err
	}
	defer client.Close()
	return example(ctx, client, os.Args[1], os.Args[2])
}
