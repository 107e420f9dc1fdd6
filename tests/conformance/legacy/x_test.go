package legacy

import (
	_ "sigs.k8s.io/external-dns/endpoint"
	_ "sigs.k8s.io/external-dns/plan"
	_ "sigs.k8s.io/external-dns/provider/webhook"
	_ "sigs.k8s.io/external-dns/registry"
	_ "sigs.k8s.io/external-dns/provider/rfc2136"
)
