// server: a stock Go ttrpc server, to which hostcalld routes calls. Serves acme.v1.Inventory on the Unix socket that its
// argument names, until it is killed.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"sort"
	"sync/atomic"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/golang/protobuf/ptypes"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	acmev1 "acme/v1"
)

type inventory struct {
	waiting int32
}

func (i *inventory) Show(ctx context.Context, request *acmev1.ShowRequest) (*acmev1.ShowResponse, error) {
	response := &acmev1.ShowResponse{Payload: request.Payload}
	metadata, _ := ttrpc.GetMetadata(ctx)
	for key := range metadata {
		values, _ := metadata.Get(key)
		for _, value := range values {
			response.Metadata = append(response.Metadata, key+"="+value)
		}
	}
	sort.Strings(response.Metadata)
	if deadline, ok := ctx.Deadline(); ok {
		response.LeftNano = int64(time.Until(deadline))
	}
	return response, nil
}

func (i *inventory) Fail(context.Context, *acmev1.FailRequest) (*acmev1.FailResponse, error) {
	failure, err := status.New(codes.OutOfRange, "no such shelf").WithDetails(
		&errdetails.RetryInfo{RetryDelay: ptypes.DurationProto(3 * time.Second)},
		&errdetails.ResourceInfo{ResourceName: "shelf 7"})
	if err != nil {
		return nil, err
	}
	return nil, failure.Err()
}

func (i *inventory) Wait(ctx context.Context, _ *acmev1.WaitRequest) (*acmev1.WaitResponse, error) {
	atomic.AddInt32(&i.waiting, 1)
	defer atomic.AddInt32(&i.waiting, -1)
	<-ctx.Done()
	return nil, ctx.Err()
}

func (i *inventory) Count(context.Context, *acmev1.CountRequest) (*acmev1.CountResponse, error) {
	return &acmev1.CountResponse{Waiting: atomic.LoadInt32(&i.waiting)}, nil
}

func main() {
	listener, err := net.Listen("unix", os.Args[1])
	if err == nil {
		var server *ttrpc.Server
		if server, err = ttrpc.NewServer(); err == nil {
			acmev1.RegisterInventoryService(server, &inventory{})
			err = server.Serve(context.Background(), listener)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
