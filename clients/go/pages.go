package venuemesh

import (
	"context"
	"fmt"
	"iter"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Page is a response of a method that lists.
type Page interface {
	GetNextPageToken() string
}

// Pages yields all pages of a method that lists, such as Client.History.ListTrades:
//
//	for page, err := range venuemesh.Pages(ctx, client.History.ListTrades, request) { … }
func Pages[Request proto.Message, Response Page](
	ctx context.Context,
	list func(context.Context, Request, ...grpc.CallOption) (Response, error),
	request Request,
) iter.Seq2[Response, error] {
	return func(yield func(Response, error) bool) {
		next := proto.Clone(request)
		field := next.ProtoReflect().Descriptor().Fields().ByName("page_token")
		if field == nil {
			var none Response
			yield(none, fmt.Errorf("%T has no field page_token", request))
			return
		}
		for {
			page, err := list(ctx, next.(Request))
			if !yield(page, err) || err != nil || page.GetNextPageToken() == "" {
				return
			}
			next.ProtoReflect().Set(field, protoreflect.ValueOfString(page.GetNextPageToken()))
		}
	}
}
