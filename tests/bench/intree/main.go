// Command intree is ExternalDNS's own rfc2136 provider, with GSS-TSIG, as a peer of `make bench`.
//
// It takes commands from standard input, and answers each with the nanoseconds that the provider took:
//
//	read ZONE RECORDS        Records, which must be so many at least
//	create ZONE COUNT SIZE   ApplyChanges, SIZE endpoints a message
//	delete ZONE COUNT SIZE
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/sirupsen/logrus"
	"sigs.k8s.io/external-dns/endpoint"
	"sigs.k8s.io/external-dns/pkg/apis/externaldns"
	"sigs.k8s.io/external-dns/plan"
	"sigs.k8s.io/external-dns/provider"
	"sigs.k8s.io/external-dns/provider/rfc2136"
)

const ttl = 300

func main() {
	logrus.SetLevel(logrus.ErrorLevel)
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		took, err := obey(commands.Text())
		if err != nil {
			log.Fatalf("%s: %v", commands.Text(), err)
		}
		fmt.Println(took.Nanoseconds())
	}
}

func obey(command string) (time.Duration, error) {
	var verb, zone string
	var count int
	size := 50
	if _, err := fmt.Sscan(command, &verb, &zone, &count); err != nil {
		return 0, err
	}
	if verb != "read" {
		if _, err := fmt.Sscan(command, &verb, &zone, &count, &size); err != nil {
			return 0, err
		}
	}
	intree, err := provide(zone, size)
	if err != nil {
		return 0, err
	}
	if verb == "read" {
		began := time.Now()
		records, err := intree.Records(context.Background())
		took := time.Since(began)
		if err == nil && len(records) < count {
			err = fmt.Errorf("%d records only", len(records))
		}
		return took, err
	}
	changes := &plan.Changes{}
	if endpoints := endpoints(zone, count); verb == "create" {
		changes.Create = endpoints
	} else {
		changes.Delete = endpoints
	}
	began := time.Now()
	err = intree.ApplyChanges(context.Background(), changes)
	return time.Since(began), err
}

func provide(zone string, size int) (provider.Provider, error) {
	port, err := strconv.Atoi(os.Getenv("DNS_PORT"))
	if err != nil {
		return nil, err
	}
	config := &externaldns.Config{
		RFC2136Host:                  []string{os.Getenv("DNS_SERVER")},
		RFC2136Port:                  port,
		RFC2136Zone:                  []string{zone},
		RFC2136AXFR:                  true,
		RFC2136GSSTSIG:               true,
		RFC2136KerberosRealm:         os.Getenv("REALM"),
		RFC2136KerberosUsername:      os.Getenv("USERNAME"),
		RFC2136KerberosPassword:      os.Getenv("PASSWORD"),
		RFC2136BatchChangeSize:       size,
		RFC2136LoadBalancingStrategy: "disabled",
	}
	return rfc2136.New(context.Background(), config, endpoint.NewDomainFilter([]string{zone}))
}

// endpoints are the records that everybody in the benchmark writes, each with its registry TXT.
func endpoints(zone string, count int) []*endpoint.Endpoint {
	var all []*endpoint.Endpoint
	for index := range count {
		name := fmt.Sprintf("h%d.%s", index, zone)
		all = append(all,
			endpoint.NewEndpointWithTTL(name, endpoint.RecordTypeA, ttl, "192.0.2.1"),
			endpoint.NewEndpointWithTTL("a-"+name, endpoint.RecordTypeTXT, ttl,
				`"heritage=external-dns,external-dns/owner=default,external-dns/resource=service/default/bench"`))
	}
	return all
}
