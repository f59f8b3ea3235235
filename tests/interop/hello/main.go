// hello: the smallest guest program in Go. It is an ordinary ttrpc client with hostcall's .proto files, and needs
// nothing of ours inside the VM. ../run.sh generates hostcall/v1, builds this and runs it; ../checks asks for more.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"strings"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/mdlayher/vsock"

	hostcallv1 "hostcall/v1"
)

// A guest reaches its host at CID 2; HOSTCALL_ADDRESS=unix:/path names a daemon on the same machine instead.
func dial() (net.Conn, error) {
	if address := os.Getenv("HOSTCALL_ADDRESS"); strings.HasPrefix(address, "unix:") {
		return net.Dial("unix", strings.TrimPrefix(address, "unix:"))
	}
	return vsock.Dial(vsock.Host, 18499, nil)
}

func main() {
	log.SetFlags(0)
	conn, err := dial()
	if err != nil {
		log.Fatalf("the host can't be reached: %v", err)
	}
	client := ttrpc.NewClient(conn)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	me, err := hostcallv1.NewSessionClient(client).WhoAmI(ctx, &hostcallv1.WhoAmIRequest{})
	if err != nil {
		log.Fatalf("WhoAmI: %v", err)
	}
	host, err := hostcallv1.NewHostClient(client).Info(ctx, &hostcallv1.InfoRequest{})
	if err != nil {
		log.Fatalf("Info: %v", err)
	}
	fmt.Printf("The host %s (%s) knows me as %s.\n", host.HostName, host.Os, me.VmName)
}
