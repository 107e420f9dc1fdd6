// Package legacy reconciles as ExternalDNS of the version in go.mod does, from its own packages. That version writes the
// lists of a change with capital letters (Create, UpdateOld, UpdateNew, Delete), and null for empty ones.
package legacy

import (
	"context"
	"errors"
	"fmt"

	"sigs.k8s.io/external-dns/endpoint"
	"sigs.k8s.io/external-dns/plan"
	"sigs.k8s.io/external-dns/provider"
	"sigs.k8s.io/external-dns/provider/webhook"
	"sigs.k8s.io/external-dns/registry"

	"conformance.test/lab/scenario"
)

// types are all that this ExternalDNS knows.
var types = []string{
	endpoint.RecordTypeA, endpoint.RecordTypeAAAA, endpoint.RecordTypeCNAME, endpoint.RecordTypeTXT, endpoint.RecordTypeSRV,
	endpoint.RecordTypeNS, endpoint.RecordTypePTR, endpoint.RecordTypeMX, endpoint.RecordTypeNAPTR,
}

// typesInNames are those that its registry recognises in the names of its TXT records.
var typesInNames = []string{endpoint.RecordTypeA, endpoint.RecordTypeAAAA, endpoint.RecordTypeCNAME, endpoint.RecordTypeNS}

// controller does what controller.Controller does; that package itself needs every source and provider to compile.
type controller struct {
	registry registry.Registry
	policy   plan.Policy
}

func newController(url string, flags scenario.Flags) (scenario.Controller, error) {
	client, err := webhook.NewWebhookProvider(url)
	if err != nil {
		return nil, err
	}
	records, err := newRegistry(client, flags)
	return &controller{registry: records, policy: plan.Policies[flags.Policy]}, err
}

func newRegistry(client provider.Provider, flags scenario.Flags) (registry.Registry, error) {
	if flags.Registry == "noop" {
		return registry.NewNoopRegistry(client)
	}
	encrypts, key := flags.TXTEncryptAESKey != "", []byte(flags.TXTEncryptAESKey)
	return registry.NewTXTRegistry(client, flags.TXTPrefix, flags.TXTSuffix, flags.TXTOwnerID, 0, flags.TXTWildcardReplacement,
		types, nil, encrypts, key, false)
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
		DomainFilter:   endpoint.MatchAllDomainFilters{endpoint.DomainFilter{}, c.registry.GetDomainFilter()},
		ManagedRecords: types,
		OwnerID:        c.registry.OwnerID(),
	}).Calculate()
	if !calculated.Changes.HasChanges() {
		return nil, nil
	}
	lines := describe(calculated.Changes)
	return lines, c.registry.ApplyChanges(ctx, calculated.Changes)
}

// source makes endpoints as sources do.
func source(desired []scenario.Endpoint) (endpoints []*endpoint.Endpoint) {
	for _, wanted := range desired {
		made := endpoint.NewEndpointWithTTL(wanted.Name, wanted.Type, endpoint.TTL(wanted.TTL), wanted.Targets...)
		if wanted.Verbatim {
			made = &endpoint.Endpoint{DNSName: wanted.Name, RecordType: wanted.Type, RecordTTL: endpoint.TTL(wanted.TTL), Targets: wanted.Targets}
		}
		made.Labels = endpoint.Labels{endpoint.ResourceLabelKey: wanted.Resource()}
		made.WithSetIdentifier(wanted.SetIdentifier)
		for name, value := range wanted.Properties {
			made.WithProviderSpecific(name, value)
		}
		endpoints = append(endpoints, made)
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
