// The checks, in the order in which they run. Each returns what is wrong, or nil.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/containerd/ttrpc"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	acmev1 "acme/v1"
	hostcallv1 "hostcall/v1"
)

// A watchdog against hanging: nothing here is judged by how long it takes.
const patience = 3 * time.Minute

// The slowest answer that the host has, in milliseconds.
const slowestEcho = 60000

type guest struct {
	client      *ttrpc.Client
	session     hostcallv1.SessionService
	host        hostcallv1.HostService
	diagnostics hostcallv1.DiagnosticsService
	inventory   acmev1.InventoryService
	intercept   *timeoutOverride
}

func newGuest(client *ttrpc.Client, intercept *timeoutOverride) *guest {
	return &guest{
		client:      client,
		session:     hostcallv1.NewSessionClient(client),
		host:        hostcallv1.NewHostClient(client),
		diagnostics: hostcallv1.NewDiagnosticsClient(client),
		inventory:   acmev1.NewInventoryClient(client),
		intercept:   intercept,
	}
}

var checks = []struct {
	name string
	run  func(*guest) error
}{
	{"Session/WhoAmI names the VM and how it was recognised", whoAmI},
	{"Host/Info tells the truth about the host", hostInfo},
	{"a call that policy denies is PERMISSION_DENIED and names the rule", denied},
	{"an unknown method is UNIMPLEMENTED", unknownMethod},
	{"an unknown service is UNIMPLEMENTED", unknownService},
	{"a guest never sees the service of administrators", adminIsHidden},
	{"a request over message_bytes is RESOURCE_EXHAUSTED, and the connection goes on", tooLarge},
	{"a large request below message_bytes comes back whole", largeEcho},
	{"the context's deadline ends the call on the client's side", clientDeadline},
	{"timeout_nano ends the call on the host's side with DEADLINE_EXCEEDED", serverDeadline},
	{"quick calls overtake a slow one on the same connection", concurrentCalls},
	{"a routed call brings the VM's identity, and the guest's own metadata as far as it is listed", routedMetadata},
	{"a routed call's status comes back with its details", routedDetails},
	{"the deadline of a routed call ends it on the server", routedCancel},
	{"what a routed server does not serve is UNIMPLEMENTED", routedUnknown},
	{"no call is left open on the host", nothingLeftOpen},
}

func whoAmI(g *guest) error {
	ctx, cancel := timeLimit()
	defer cancel()
	me, err := g.session.WhoAmI(ctx, &hostcallv1.WhoAmIRequest{})
	if err != nil {
		return err
	}
	if me.SessionId == 0 || me.Registration == 0 {
		return errors.New("there is no session id, or no registration")
	}
	return firstDifference(
		same("vm_name", me.VmName, os.Getenv("EXPECT_VM")),
		same("uuid", me.Uuid, os.Getenv("EXPECT_UUID")),
		same("tags", strings.Join(me.Tags, ","), os.Getenv("EXPECT_TAGS")),
		same("evidence", me.Evidence, "unix"),
		same("unix_path", me.UnixPath, ""),
		same("boot_id", me.BootId, ""), // only Session/Hello tells it, and ttrpc clients don't say Hello
	)
}

func hostInfo(g *guest) error {
	ctx, cancel := timeLimit()
	defer cancel()
	info, err := g.host.Info(ctx, &hostcallv1.InfoRequest{})
	if err != nil {
		return err
	}
	var uname unix.Utsname
	if err := unix.Uname(&uname); err != nil {
		return err
	}
	if wrong := time.Since(time.Unix(0, info.TimeUnixNano)); wrong < -patience || wrong > patience {
		return fmt.Errorf("time_unix_nano is wrong by %v", wrong)
	}
	return firstDifference(
		same("host_name", info.HostName, unix.ByteSliceToString(uname.Nodename[:])),
		same("kernel", info.Kernel, unix.ByteSliceToString(uname.Release[:])),
		same("architecture", info.Architecture, unix.ByteSliceToString(uname.Machine[:])),
		same("hostcall_version", info.HostcallVersion, os.Getenv("EXPECT_VERSION")),
		same("protocol", info.Protocol, "hostcall.v1"),
	)
}

func denied(g *guest) error {
	ctx, cancel := timeLimit()
	defer cancel()
	_, err := g.host.Metrics(ctx, &hostcallv1.MetricsRequest{})
	return wantStatus(err, codes.PermissionDenied, os.Getenv("EXPECT_DENIED_BY"))
}

func unknownMethod(g *guest) error {
	return g.callByName("hostcall.v1.Session", "NoSuchMethod", "hostcall.v1.Session/NoSuchMethod")
}

func unknownService(g *guest) error {
	return g.callByName("example.NoSuchService", "Get", "example.NoSuchService/Get")
}

func adminIsHidden(g *guest) error {
	return g.callByName("hostcall.v1.Admin", "VmList", "hostcall.v1.Admin/VmList")
}

// Calls what no generated code knows, and expects to be told so.
func (g *guest) callByName(service, method, mention string) error {
	ctx, cancel := timeLimit()
	defer cancel()
	err := g.client.Call(ctx, service, method, &hostcallv1.PingRequest{}, &hostcallv1.PingResponse{})
	return wantStatus(err, codes.Unimplemented, mention)
}

func tooLarge(g *guest) error {
	ctx, cancel := timeLimit()
	defer cancel()
	_, err := g.diagnostics.Echo(ctx, &hostcallv1.EchoRequest{Payload: make([]byte, 300*1024)})
	if err := wantStatus(err, codes.ResourceExhausted, "message_bytes"); err != nil {
		return err
	}
	return g.echo([]byte("still here"), 0)
}

func largeEcho(g *guest) error {
	return g.echo(bytes.Repeat([]byte("0123456789abcdef"), 15*1024), 0) // 240 KiB of the default 256
}

// The client puts the context's deadline into timeout_nano, too. Whichever end is first, it is the client that gives up:
// ttrpc returns the context's own error and never waits for the host's answer.
func clientDeadline(g *guest) error {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_, err := g.diagnostics.Echo(ctx, &hostcallv1.EchoRequest{DelayMs: slowestEcho})
	if !errors.Is(err, context.DeadlineExceeded) && status.Code(err) != codes.DeadlineExceeded {
		return fmt.Errorf("want a deadline exceeded, got: %v", err)
	}
	return nil
}

// Here the client would wait for long, but timeout_nano on the wire says 100 ms: the status must be the host's answer.
func serverDeadline(g *guest) error {
	ctx, cancel := timeLimit()
	defer cancel()
	const timeout = 100 * time.Millisecond
	g.intercept.set(timeout)
	defer g.intercept.set(0)
	begin := time.Now()
	_, err := g.diagnostics.Echo(ctx, &hostcallv1.EchoRequest{DelayMs: slowestEcho})
	took := time.Since(begin)
	if err := wantStatus(err, codes.DeadlineExceeded, "hostcall.v1.Diagnostics/Echo"); err != nil {
		return err
	}
	if took < timeout {
		return fmt.Errorf("the answer came after %v; the deadline was %v", took, timeout)
	}
	return nil
}

// A slow call is open while many others come and go; each gets its own answer. A busy machine may need longer for the
// quick ones, so before the check fails the slow call is tried with more time.
func concurrentCalls(g *guest) error {
	for delayMs := uint32(3000); delayMs <= slowestEcho; delayMs *= 5 {
		overtaken, err := g.quickCallsOvertake(delayMs)
		if overtaken || err != nil {
			return err
		}
	}
	return errors.New("the slow call ended before the quick ones, however slow it was")
}

func (g *guest) quickCallsOvertake(delayMs uint32) (bool, error) {
	slow := make(chan error, 1)
	go func() { slow <- g.echo([]byte("slow"), delayMs) }()
	if err := g.waitForOpenCalls(1); err != nil {
		return false, err
	}
	if err := g.manyEchoes(64); err != nil {
		return false, err
	}
	select {
	case err := <-slow:
		return false, err
	default:
	}
	return true, <-slow
}

func (g *guest) manyEchoes(count int) error {
	results := make(chan error, count)
	var running sync.WaitGroup
	for i := 0; i < count; i++ {
		running.Add(1)
		go func(i int) {
			defer running.Done()
			results <- g.echo(bytes.Repeat([]byte{byte(i)}, 100*i), uint32(i%4))
		}(i)
	}
	running.Wait()
	close(results)
	for err := range results {
		if err != nil {
			return err
		}
	}
	return nil
}

func nothingLeftOpen(g *guest) error { return g.waitForOpenCalls(0) }

// Waits until the host counts so many open calls of this VM, not counting the one that asks.
func (g *guest) waitForOpenCalls(want uint64) error {
	ctx, cancel := timeLimit()
	defer cancel()
	for {
		reply, err := g.session.ListServices(ctx, &hostcallv1.ListServicesRequest{})
		if err != nil {
			return fmt.Errorf("waiting for %d open calls: %w", want, err)
		}
		for _, limit := range reply.Limits {
			if limit.Name == "streams" && limit.Limit-limit.Left-1 == want {
				return nil
			}
		}
	}
}

func (g *guest) echo(payload []byte, delayMs uint32) error {
	ctx, cancel := timeLimit()
	defer cancel()
	reply, err := g.diagnostics.Echo(ctx, &hostcallv1.EchoRequest{Payload: payload, DelayMs: delayMs})
	if err != nil {
		return err
	}
	if !bytes.Equal(reply.Payload, payload) {
		return fmt.Errorf("sent %d bytes, got back %d others", len(payload), len(reply.Payload))
	}
	return nil
}

// Replaces timeout_nano, which ttrpc has set from the context's deadline.
type timeoutOverride struct {
	mutex   sync.Mutex
	timeout time.Duration // 0: leave it as it is
}

func (o *timeoutOverride) set(timeout time.Duration) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.timeout = timeout
}

func (o *timeoutOverride) get() time.Duration {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.timeout
}

func (o *timeoutOverride) call(ctx context.Context, request *ttrpc.Request, response *ttrpc.Response,
	_ *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker) error {
	if timeout := o.get(); timeout != 0 {
		request.TimeoutNano = timeout.Nanoseconds()
	}
	return invoke(ctx, request, response)
}

func timeLimit() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

// A gRPC status that the host has sent, with this code and this in its text.
func wantStatus(err error, code codes.Code, mention string) error {
	answer, ok := status.FromError(err)
	if err == nil || !ok {
		return fmt.Errorf("want the status %v from the host, got: %v", code, err)
	}
	if answer.Code() != code {
		return fmt.Errorf("want the status %v, got: %v", code, err)
	}
	if !strings.Contains(answer.Message(), mention) {
		return fmt.Errorf("the text does not mention %q: %s", mention, answer.Message())
	}
	return nil
}

func same(what string, got, want interface{}) error {
	if reflect.DeepEqual(got, want) {
		return nil
	}
	return fmt.Errorf("%s is %#v, want %#v", what, got, want)
}

func firstDifference(differences ...error) error {
	for _, difference := range differences {
		if difference != nil {
			return difference
		}
	}
	return nil
}
