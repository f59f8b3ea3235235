// served: what a stock Go ttrpc client sees of a service of the server library, on one connection. Prints a TAP line for
// each check. Started by ../run.sh, which starts service.cc beside it.
package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	hostcallv1 "hostcall/v1"
)

// A watchdog against hanging: nothing here is judged by how long it takes.
const patience = 3 * time.Minute

type caller struct {
	client *ttrpc.Client
	echo   hostcallv1.DiagnosticsService
}

var checks = []struct {
	name string
	run  func(context.Context, *caller) error
}{
	{"a call is answered", small},
	{"a large message comes back whole", large},
	{"many calls at once on one connection", concurrent},
	{"an unknown method is UNIMPLEMENTED", unknown},
	{"a message over max_message_bytes is RESOURCE_EXHAUSTED", tooLarge},
	{"the deadline ends a call, and the connection goes on", deadline},
}

func (c *caller) send(ctx context.Context, payload []byte) error {
	answer, err := c.echo.Echo(ctx, &hostcallv1.EchoRequest{Payload: payload})
	if err == nil && !bytes.Equal(answer.Payload, payload) {
		err = fmt.Errorf("%d bytes came back as %d others", len(payload), len(answer.Payload))
	}
	return err
}

func small(ctx context.Context, c *caller) error { return c.send(ctx, []byte("hello")) }

func large(ctx context.Context, c *caller) error {
	return c.send(ctx, bytes.Repeat([]byte("0123456789abcdef"), 60*1024))
}

func concurrent(ctx context.Context, c *caller) error {
	const calls = 100
	failures := make(chan error, calls)
	var all sync.WaitGroup
	for i := 0; i < calls; i++ {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			failures <- c.send(ctx, bytes.Repeat([]byte{byte(i)}, i*100))
		}(i)
	}
	all.Wait()
	close(failures)
	for err := range failures {
		if err != nil {
			return err
		}
	}
	return nil
}

func expect(code codes.Code, err error) error {
	if status.Code(err) != code {
		return fmt.Errorf("expected %v, got %v", code, err)
	}
	return nil
}

func unknown(ctx context.Context, c *caller) error {
	var answer hostcallv1.EchoResponse
	return expect(codes.Unimplemented, c.client.Call(ctx, "acme.v1.Inventory", "List", &hostcallv1.EchoRequest{}, &answer))
}

func tooLarge(ctx context.Context, c *caller) error {
	return expect(codes.ResourceExhausted, c.send(ctx, make([]byte, 2<<20)))
}

func deadline(ctx context.Context, c *caller) error {
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	_, err := c.echo.Echo(short, &hostcallv1.EchoRequest{DelayMs: 1})
	if err == nil {
		return fmt.Errorf("a call that is never answered has ended well")
	}
	return small(ctx, c)
}

func main() {
	conn, err := net.Dial("unix", strings.TrimPrefix(os.Getenv("SERVED_ADDRESS"), "unix:"))
	if err != nil {
		fmt.Printf("Bail out! %v\n", err)
		os.Exit(1)
	}
	client := ttrpc.NewClient(conn)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := &caller{client: client, echo: hostcallv1.NewDiagnosticsClient(client)}
	for _, check := range checks {
		if err := check.run(ctx, c); err != nil {
			fmt.Printf("not ok - served: %s\n# %s\n", check.name, strings.ReplaceAll(err.Error(), "\n", "\n# "))
			continue
		}
		fmt.Printf("ok - served: %s\n", check.name)
	}
}
