// Package scenario tells what ExternalDNS is asked to do, step by step, and what must then be in DNS. It knows no version
// of ExternalDNS: each suite brings its own, as an ExternalDNS value.
package scenario

import (
	"context"
	"slices"
	"strings"
)

// ExternalDNS is one version of it.
type ExternalDNS struct {
	// New connects to a webhook, as the process does at its start.
	New func(url string, flags Flags) (Controller, error)
	// Types are those that it manages.
	Types []string
	// TypesInNames are those that it reads from the names of its registry TXT records.
	TypesInNames []string
	// UntypedNames says that it writes registry TXT records without a type in their names too, where the naming allows.
	UntypedNames bool
}

// Flags are ExternalDNS's, under their own names.
type Flags struct {
	Registry               string // txt, unless noop or crd
	Policy                 string // sync, unless upsert-only
	TXTOwnerID             string // "here" by default
	TXTPrefix              string
	TXTSuffix              string
	TXTWildcardReplacement string
	TXTEncryptAESKey       string // encrypts where it is set
	MigrateFromTXTOwner    string
}

func (flags Flags) withDefaults() Flags {
	if flags.Registry == "" {
		flags.Registry = "txt"
	}
	if flags.Policy == "" {
		flags.Policy = "sync"
	}
	if flags.TXTOwnerID == "" {
		flags.TXTOwnerID = "here"
	}
	return flags
}

// typed says that the naming has a place for the type, which leaves no registry TXT record without one.
func (flags Flags) typed() bool {
	return strings.Contains(flags.TXTPrefix+flags.TXTSuffix, "%{record_type}") || flags.TXTEncryptAESKey != ""
}

// named gives names that leave room for a CNAME, where they would not: a registry TXT record of the same name.
func (externalDNS ExternalDNS) named(flags Flags) Flags {
	if externalDNS.UntypedNames && flags.TXTPrefix+flags.TXTSuffix == "" {
		flags.TXTPrefix = "own-"
	}
	return flags
}

// owns says whether records of a type can be told as owned, given how registry TXT records are named.
func (externalDNS ExternalDNS) owns(flags Flags, rtype string) bool {
	if externalDNS.UntypedNames && !flags.typed() {
		return slices.Contains(externalDNS.Types, rtype)
	}
	return slices.Contains(externalDNS.TypesInNames, rtype)
}

// Controller is one ExternalDNS process.
type Controller interface {
	// RunOnce does what the controller does in one interval.
	RunOnce(ctx context.Context, desired []Endpoint) (Plan, error)
}

// Plan is what one interval found to do, a line for each change.
type Plan []string

// SoftError is one that ExternalDNS survives.
type SoftError struct{ Err error }

func (soft SoftError) Error() string { return soft.Err.Error() }

// Endpoint is one that a source wants.
type Endpoint struct {
	Name, Type    string
	TTL           int64
	Targets       []string
	SetIdentifier string
	Properties    map[string]string
	// Verbatim endpoints reach the provider as they are, which is the CRD source's way.
	Verbatim bool
}

// Resource is the Kubernetes object that the endpoint is said to come from.
func (endpoint Endpoint) Resource() string {
	name, _, _ := strings.Cut(strings.ToLower(endpoint.Name), ".")
	return "ingress/default/" + strings.NewReplacer("*", "any", "_", "").Replace(name)
}

func want(name, rtype string, targets ...string) Endpoint {
	return Endpoint{Name: name, Type: rtype, Targets: targets}
}

func (endpoint Endpoint) ttl(seconds int64) Endpoint {
	endpoint.TTL = seconds
	return endpoint
}

func (endpoint Endpoint) verbatim() Endpoint {
	endpoint.Verbatim = true
	return endpoint
}
