package manifests

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	rbac "k8s.io/api/rbac/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// kustomized is what `kubectl apply --kustomize deploy/kustomize` sends.
func kustomized(t *testing.T) []object {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(deploy, "kustomize"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, text)
}

func TestTheKustomizationIsAWholeDeployment(t *testing.T) {
	objects := kustomized(t)
	isWhole(t, objects)
	account := only[*core.ServiceAccount](t, objects)
	if name := deployment(t, objects).Spec.Template.Spec.ServiceAccountName; name != account.Name {
		t.Errorf("the pod runs as %q", name)
	}
	binding, role := only[*rbac.ClusterRoleBinding](t, objects), only[*rbac.ClusterRole](t, objects)
	if binding.RoleRef.Name != role.Name || binding.Subjects[0].Name != account.Name || binding.Subjects[0].Namespace != namespace {
		t.Errorf("%+v", binding)
	}
	service := only[*core.Service](t, objects)
	labels := deployment(t, objects).Spec.Template.Labels
	for name, value := range service.Spec.Selector {
		if labels[name] != value {
			t.Errorf("the Service selects %s=%s of %v", name, value, labels)
		}
	}
}

func TestTheKustomizationSetsWhatTheValuesForHelmSet(t *testing.T) {
	objects, err := newChart.render(t, "helm-values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	here := kustomized(t)
	if a, b := mustJSON(t, environment(t, objects)), mustJSON(t, environment(t, here)); a != b {
		t.Errorf("%s\n%s", a, b)
	}
	one, other := container(t, objects, "webhook"), container(t, here, "webhook")
	if a, b := mustJSON(t, one.Resources), mustJSON(t, other.Resources); a != b {
		t.Errorf("%s\n%s", a, b)
	}
	// The chart's rights are those that ExternalDNS needs for its sources.
	missing, extra := difference(resources(objects), resources(here)), difference(resources(here), resources(objects))
	if len(missing)+len(extra) > 0 {
		t.Errorf("missing %v, too many %v", missing, extra)
	}
}

func difference(all, without []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(name string) bool { return slices.Contains(without, name) })
}

func TestAConfigMapThatChangesReplacesThePod(t *testing.T) {
	objects := kustomized(t)
	name := only[*core.ConfigMap](t, objects).Name
	if !strings.HasPrefix(name, "external-dns-rfc2136-") || container(t, objects, "webhook").EnvFrom[0].ConfigMapRef.Name != name {
		t.Error(name)
	}
}

func TestTheNetworkPolicyOpensWhatIsNeededAndNothingElse(t *testing.T) {
	objects := kustomized(t)
	policy := only[*networking.NetworkPolicy](t, objects).Spec
	open := map[string]bool{}
	for _, rule := range policy.Egress {
		for _, port := range rule.Ports {
			open[port.Port.String()+"/"+string(*port.Protocol)] = true
		}
	}
	// Names and DNS, DNS over TLS, Kerberos, LDAP, the API server.
	expected := []string{"53/TCP", "53/UDP", "853/TCP", "88/TCP", "88/UDP", "389/TCP", "443/TCP", "6443/TCP"}
	for _, port := range expected {
		if !open[port] {
			t.Errorf("%s is closed", port)
		}
	}
	if len(open) != len(expected) {
		t.Errorf("%v", open)
	}
	labels := deployment(t, objects).Spec.Template.Labels
	for name, value := range policy.PodSelector.MatchLabels {
		if labels[name] != value {
			t.Errorf("it selects %s=%s of %v", name, value, labels)
		}
	}
	if len(policy.PodSelector.MatchLabels) == 0 {
		t.Error("it confines every pod of the namespace")
	}
	if !slices.Equal(policy.PolicyTypes, []networking.PolicyType{"Ingress", "Egress"}) {
		t.Errorf("%v", policy.PolicyTypes)
	}
	for _, rule := range policy.Ingress {
		for _, port := range rule.Ports {
			if number := port.Port.IntValue(); number != 8080 && number != 7979 {
				t.Errorf("%d is open: the webhook has no authentication", number)
			}
		}
	}
}

func TestTheExampleOfASecretFitsWhatIsMounted(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(deploy, "kustomize", "secret.example.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	secret := only[*core.Secret](t, decode(t, text))
	objects := kustomized(t)
	volumes := deployment(t, objects).Spec.Template.Spec.Volumes
	index := slices.IndexFunc(volumes, func(v core.Volume) bool { return v.Secret != nil && v.Secret.SecretName == secret.Name })
	if index < 0 {
		t.Fatalf("%s is not mounted: %v", secret.Name, volumes)
	}
	mounts := container(t, objects, "webhook").VolumeMounts
	mount := slices.IndexFunc(mounts, func(m core.VolumeMount) bool { return m.Name == volumes[index].Name })
	directory, key := filepath.Split(environment(t, objects)["RFC2136_KERBEROS_KEYTAB"])
	if _, found := secret.Data[key]; !found || filepath.Clean(directory) != mounts[mount].MountPath {
		t.Errorf("%s of %v in %s", key, secret.Data, mounts[mount].MountPath)
	}
	if secret.Namespace != namespace {
		t.Errorf("it is in namespace %q", secret.Namespace)
	}
}
