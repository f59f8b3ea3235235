// checks: what a stock Go ttrpc client sees of hostcalld, one check after the other on ONE connection, so that each
// also shows that the one before left the connection in order. Prints a TAP line for each. Started by ../run.sh, which
// writes the daemon's VM records and policy that the checks expect; the checks themselves are in checks.go.
package main

import (
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/containerd/ttrpc"
)

func main() {
	conn, err := net.Dial("unix", strings.TrimPrefix(os.Getenv("HOSTCALL_ADDRESS"), "unix:"))
	if err != nil {
		fmt.Printf("Bail out! %v\n", err)
		os.Exit(1)
	}
	// Sees every call on its way out; only serverDeadline() gives it anything to do.
	intercept := &timeoutOverride{}
	client := ttrpc.NewClient(conn, ttrpc.WithUnaryClientInterceptor(intercept.call))
	defer client.Close()
	g := newGuest(client, intercept)

	for _, check := range checks {
		if err := check.run(g); err != nil {
			fmt.Printf("not ok - %s\n# %s\n", check.name, strings.ReplaceAll(err.Error(), "\n", "\n# "))
			continue
		}
		fmt.Printf("ok - %s\n", check.name)
	}
}
