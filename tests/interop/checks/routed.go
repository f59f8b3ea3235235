// Calls that hostcalld routes to a stock Go server.
package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	acmev1 "acme/v1"
)

func routedMetadata(g *guest) error {
	ctx, cancel := timeLimit()
	defer cancel()
	ctx = ttrpc.WithMetadata(ctx, ttrpc.MD{
		"traceparent":   {"00-1"},
		"acme-shelf":    {"7", "8"},
		"secret":        {"x"},
		"hostcall-vm":   {"db1"},
		"Hostcall-VM":   {"db1"},
		"hostcall_vm":   {"db1"},
		"HOSTCALL-UUID": {"db1"},
	})
	shown, err := g.inventory.Show(ctx, &acmev1.ShowRequest{Payload: []byte("as it is")})
	if err != nil {
		return err
	}
	var foreign []string
	own := map[string]string{}
	for _, pair := range shown.Metadata {
		key, value, _ := cut(pair)
		if strings.HasPrefix(key, "hostcall") {
			own[key] = value
		} else {
			foreign = append(foreign, pair)
		}
	}
	return firstDifference(
		same("payload", string(shown.Payload), "as it is"),
		same("the guest's metadata", foreign, []string{"acme-shelf=7", "acme-shelf=8", "traceparent=00-1"}),
		same("hostcall's metadata", len(own), 5),
		same("VM", own["hostcall-vm"], os.Getenv("EXPECT_VM")),
		same("UUID", own["hostcall-vm-uuid"], os.Getenv("EXPECT_UUID")),
		same("evidence", own["hostcall-evidence"], "unix"),
		same("whether the deadline came along", shown.LeftNano > 0 && shown.LeftNano <= int64(patience), true))
}

func cut(pair string) (string, string, bool) {
	at := strings.Index(pair, "=")
	if at < 0 {
		return pair, "", false
	}
	return pair[:at], pair[at+1:], true
}

func routedDetails(g *guest) error {
	ctx, cancel := timeLimit()
	defer cancel()
	_, err := g.inventory.Fail(ctx, &acmev1.FailRequest{})
	if wrong := wantStatus(err, codes.OutOfRange, "no such shelf"); wrong != nil {
		return wrong
	}
	var texts []string
	for _, detail := range status.Convert(err).Details() {
		switch detail := detail.(type) {
		case *errdetails.RetryInfo:
			texts = append(texts, fmt.Sprint("retry after ", detail.RetryDelay.Seconds, " s"))
		case *errdetails.ResourceInfo:
			texts = append(texts, detail.ResourceName)
		}
	}
	return same("details", texts, []string{"retry after 3 s", "shelf 7"})
}

// Only closing its connection cancels a call of a stock server.
func routedCancel(g *guest) error {
	g.intercept.set(100 * time.Millisecond)
	ctx, cancel := timeLimit()
	defer cancel()
	_, err := g.inventory.Wait(ctx, &acmev1.WaitRequest{})
	g.intercept.set(0)
	if wrong := wantStatus(err, codes.DeadlineExceeded, ""); wrong != nil {
		return wrong
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		counted, err := g.inventory.Count(ctx, &acmev1.CountRequest{})
		if err != nil {
			return err
		}
		if counted.Waiting == 0 {
			return nil
		}
	}
	return fmt.Errorf("the call still runs on the server")
}

func routedUnknown(g *guest) error {
	return firstDifference(
		g.callByName("acme.v1.Inventory", "Nothing", "Nothing"),
		g.callByName("acme.v1.Stock", "Show", "acme.v1.Stock/Show"))
}
