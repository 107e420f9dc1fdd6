// Package current reconciles as ExternalDNS of the version in go.mod, or newest.mod, does, from its own packages.
package current

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/external-dns/endpoint"
	"sigs.k8s.io/external-dns/pkg/apis/externaldns"
	"sigs.k8s.io/external-dns/plan"
	"sigs.k8s.io/external-dns/provider"
	"sigs.k8s.io/external-dns/provider/webhook"
	"sigs.k8s.io/external-dns/registry"
	"sigs.k8s.io/external-dns/registry/crd"
	"sigs.k8s.io/external-dns/registry/noop"
	"sigs.k8s.io/external-dns/registry/txt"

	"conformance.test/lab/scenario"
)

// types are all that ExternalDNS knows.
var types = endpoint.KnownRecordTypes

// controller does what controller.Controller does; that package itself needs every source and provider to compile.
type controller struct {
	registry registry.Registry
	policy   plan.Policy
	oldOwner string
}

// newController connects to a webhook, and for the crd registry to a Kubernetes API server.
func newController(url string, flags scenario.Flags, kubeConfig string) (*controller, error) {
	config := externaldns.NewConfig()
	config.WebhookProviderURL = url
	config.WebhookProviderReadTimeout = 5 * time.Second
	config.WebhookProviderWriteTimeout = 10 * time.Second
	config.ManagedDNSRecordTypes = types
	config.TXTOwnerID = flags.TXTOwnerID
	config.TXTPrefix = flags.TXTPrefix
	config.TXTSuffix = flags.TXTSuffix
	config.TXTWildcardReplacement = flags.TXTWildcardReplacement
	config.TXTEncryptEnabled = flags.TXTEncryptAESKey != ""
	config.TXTEncryptAESKey = flags.TXTEncryptAESKey
	config.TXTOwnerOld = flags.MigrateFromTXTOwner
	config.KubeConfig = kubeConfig
	client, err := webhook.New(context.Background(), config, nil)
	if err != nil {
		return nil, err
	}
	open := map[string]func(*externaldns.Config, provider.Provider) (registry.Registry, error){
		"txt": txt.New, "noop": noop.New, "crd": crd.New,
	}[flags.Registry]
	records, err := open(config, client)
	return &controller{registry: records, policy: plan.Policies[flags.Policy], oldOwner: flags.MigrateFromTXTOwner}, err
}

// RunOnce is controller.Controller's.
func (c *controller) RunOnce(ctx context.Context, desired []scenario.Endpoint) (scenario.Plan, error) {
	changes, err := c.runOnce(ctx, desired)
	if errors.Is(err, provider.SoftError) {
		err = scenario.SoftError{Err: err}
	}
	return changes, err
}

func (c *controller) runOnce(ctx context.Context, desired []scenario.Endpoint) (scenario.Plan, error) {
	records, err := c.registry.Records(ctx)
	if err != nil {
		return nil, err
	}
	ctx = context.WithValue(ctx, provider.RecordsContextKey, records)
	endpoints, err := c.registry.AdjustEndpoints(source(desired))
	if err != nil {
		return nil, fmt.Errorf("adjusting endpoints: %w", err)
	}
	calculated := (&plan.Plan{
		Policies:       []plan.Policy{c.policy},
		Current:        records,
		Desired:        endpoints,
		DomainFilter:   endpoint.MatchAllDomainFilters{&endpoint.DomainFilter{}, c.registry.GetDomainFilter()},
		ManagedRecords: types,
		OwnerID:        c.registry.OwnerID(),
		OldOwnerID:     c.oldOwner,
	}).Calculate()
	if !calculated.Changes.HasChanges() {
		return nil, nil
	}
	lines := describe(calculated.Changes)
	return lines, c.registry.ApplyChanges(ctx, calculated.Changes)
}

// source makes endpoints as sources do, and then what the wrappers around all sources do to each endpoint.
func source(desired []scenario.Endpoint) (endpoints []*endpoint.Endpoint) {
	for _, wanted := range desired {
		made := endpoint.NewEndpointWithTTL(wanted.Name, wanted.Type, endpoint.TTL(wanted.TTL), wanted.Targets...)
		if wanted.Verbatim {
			made = &endpoint.Endpoint{DNSName: wanted.Name, RecordType: wanted.Type, RecordTTL: endpoint.TTL(wanted.TTL), Targets: wanted.Targets}
		}
		made.WithLabel(endpoint.ResourceLabelKey, wanted.Resource())
		made.WithSetIdentifier(wanted.SetIdentifier)
		for name, value := range wanted.Properties {
			made.WithProviderSpecific(name, value)
		}
		if made.CheckEndpoint() {
			made.RetainProviderProperties("webhook")
			endpoints = append(endpoints, made)
		}
	}
	return endpoints
}

func describe(changes *plan.Changes) (lines scenario.Plan) {
	for _, group := range []struct {
		kind      string
		endpoints []*endpoint.Endpoint
	}{{"create", changes.Create}, {"update from", changes.UpdateOld}, {"update to", changes.UpdateNew}, {"delete", changes.Delete}} {
		for _, changed := range group.endpoints {
			lines = append(lines, fmt.Sprintf("%s %s, labels %v", group.kind, changed, changed.Labels))
		}
	}
	return lines
}
