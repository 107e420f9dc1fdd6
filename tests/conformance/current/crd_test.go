package current

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/external-dns/endpoint"

	"conformance.test/lab/scenario"
)

// The registry that keeps its state in DNSRecord objects, with a sidecar that reads no zone.
func TestCRDRegistry(t *testing.T) {
	log.SetLogger(logr.Discard())
	scenario.RunUnread(t, func(t *testing.T) scenario.ExternalDNS {
		server := startAPIServer(t)
		connect := func(url string, flags scenario.Flags) (scenario.Controller, error) {
			made, err := newController(url, flags, server.kubeConfig)
			return &crdController{server: server, controller: made}, err
		}
		return scenario.ExternalDNS{New: connect, Types: types, TypesInNames: types}
	})
}

// crdController waits for the registry's cache, which follows the API server, before each interval.
type crdController struct {
	server     *apiServer
	controller *controller
}

func (c *crdController) RunOnce(ctx context.Context, desired []scenario.Endpoint) (scenario.Plan, error) {
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		records, err := c.controller.registry.Records(ctx)
		if err != nil || slices.Equal(asObjects(records), c.server.ready()) {
			break
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("the cache does not follow: %v, not %v", asObjects(records), c.server.ready())
		}
	}
	return c.controller.RunOnce(ctx, desired)
}

func asObjects(endpoints []*endpoint.Endpoint) (objects []string) {
	for _, one := range endpoints {
		var plain object
		text, err := json.Marshal(one)
		if err == nil {
			err = json.Unmarshal(text, &plain)
		}
		if err != nil {
			panic(err)
		}
		objects = append(objects, fmt.Sprint(plain))
	}
	slices.Sort(objects)
	return objects
}
