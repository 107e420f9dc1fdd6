// Package manifests judges what is in deploy/ for Kubernetes with the programs' own libraries: helm's and kustomize's
// render it, the API's types decode it, Pod Security Admission and ExternalDNS's flags judge it, and the sidecar reads
// its environment.
package manifests

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	kubernetes "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/external-dns/pkg/apis/externaldns"
	"sigs.k8s.io/external-dns/pkg/apis/externaldns/validation"
)

const (
	deploy    = "../../deploy"
	namespace = "external-dns"
)

type (
	object  = runtime.Object
	podSpec = core.PodSpec
)

var decoder = func() runtime.Decoder {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{kubernetes.AddToScheme, monitoring.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}()

// decode reads every object of a stream of YAML, and fails at a field that its type does not have.
func decode(t *testing.T, text []byte) []object {
	t.Helper()
	var objects []object
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(bytes.TrimSpace(document)) == 0 {
			continue
		}
		decoded, _, err := decoder.Decode(document, nil, nil)
		if err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		objects = append(objects, decoded)
	}
}

func only[T object](t *testing.T, objects []object) T {
	t.Helper()
	var found []T
	for _, candidate := range objects {
		if typed, is := candidate.(T); is {
			found = append(found, typed)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d objects of type %T", len(found), *new(T))
	}
	return found[0]
}

func deployment(t *testing.T, objects []object) *apps.Deployment {
	t.Helper()
	return only[*apps.Deployment](t, objects)
}

func container(t *testing.T, objects []object, name string) core.Container {
	t.Helper()
	containers := deployment(t, objects).Spec.Template.Spec.Containers
	index := slices.IndexFunc(containers, func(c core.Container) bool { return c.Name == name })
	if index < 0 {
		t.Fatalf("there is no container %s", name)
	}
	return containers[index]
}

// environment is what the sidecar finds.
func environment(t *testing.T, objects []object) map[string]string {
	t.Helper()
	sidecar := container(t, objects, "webhook")
	variables := map[string]string{}
	for _, source := range sidecar.EnvFrom {
		for _, candidate := range objects {
			if config, is := candidate.(*core.ConfigMap); is && source.ConfigMapRef != nil && config.Name == source.ConfigMapRef.Name {
				for name, value := range config.Data {
					variables[name] = value
				}
			}
		}
	}
	for _, variable := range sidecar.Env {
		if variable.ValueFrom != nil {
			t.Fatalf("%s comes from elsewhere", variable.Name)
		}
		variables[variable.Name] = variable.Value
	}
	return variables
}

// externalDNS is how ExternalDNS reads the flags of its container.
func externalDNS(t *testing.T, objects []object) *externaldns.Config {
	t.Helper()
	config := externaldns.NewConfig()
	if err := config.ParseFlags(container(t, objects, "external-dns").Args); err != nil {
		t.Fatal(err)
	}
	if err := validation.ValidateConfig(config); err != nil {
		t.Fatal(err)
	}
	return config
}

// monitored are the ports that Prometheus is told to scrape.
func monitored(t *testing.T, objects []object) []string {
	t.Helper()
	var ports []string
	for _, endpoint := range only[*monitoring.ServiceMonitor](t, objects).Spec.Endpoints {
		ports = append(ports, endpoint.Port)
	}
	return ports
}

// resources are the kinds that ExternalDNS has any right on.
func resources(objects []object) []string {
	var names []string
	for _, candidate := range objects {
		if role, is := candidate.(*rbac.ClusterRole); is {
			for _, rule := range role.Rules {
				names = append(names, rule.Resources...)
			}
		}
	}
	return names
}

func mustJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// isWhole is what holds for every way of deploying.
func isWhole(t *testing.T, objects []object) {
	t.Helper()
	deployment := deployment(t, objects)
	template := deployment.Spec.Template
	if replicas := deployment.Spec.Replicas; replicas == nil || *replicas != 1 {
		t.Errorf("%v replicas: ExternalDNS elects no leader", replicas)
	}
	if deployment.Spec.Strategy.Type != apps.RecreateDeploymentStrategyType {
		t.Errorf("two would run side by side while one replaces the other: %s", deployment.Spec.Strategy.Type)
	}
	isRestricted(t, template)
	for _, c := range template.Spec.Containers {
		isConfined(t, template.Spec, c)
	}
	isProbed(t, container(t, objects, "webhook"))
	if config := externalDNS(t, objects); config.Provider != "webhook" || config.TXTOwnerID == "" {
		t.Errorf("%+v", config)
	}
	sidecarAccepts(t, environment(t, objects))
}

// isRestricted asks Pod Security Admission for its strictest level.
func isRestricted(t *testing.T, template core.PodTemplateSpec) {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, result := range evaluator.EvaluatePod(level, &template.ObjectMeta, &template.Spec) {
		if !result.Allowed {
			t.Errorf("%s: %s", result.ForbiddenReason, result.ForbiddenDetail)
		}
	}
}

func isConfined(t *testing.T, spec core.PodSpec, c core.Container) {
	t.Helper()
	security := c.SecurityContext
	if security == nil || security.ReadOnlyRootFilesystem == nil || !*security.ReadOnlyRootFilesystem {
		t.Errorf("%s can write to its root", c.Name)
	}
	if security == nil || security.RunAsUser == nil || *security.RunAsUser != 65532 {
		t.Errorf("%s does not run as 65532", c.Name)
	}
	if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
		t.Errorf("%s: %v", c.Name, c.Resources)
	}
	for _, mount := range c.VolumeMounts {
		index := slices.IndexFunc(spec.Volumes, func(v core.Volume) bool { return v.Name == mount.Name })
		if index < 0 {
			t.Fatalf("%s mounts %s, which is no volume", c.Name, mount.Name)
		}
		if spec.Volumes[index].Secret != nil && (!mount.ReadOnly || mount.SubPath != "") {
			t.Errorf("%s mounts a Secret for writing, or in a way that hides its changes", c.Name)
		}
	}
}

func isProbed(t *testing.T, c core.Container) {
	t.Helper()
	for path, probe := range map[string]*core.Probe{"/healthz": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path {
			t.Fatalf("%s is not asked for", path)
		}
		port := slices.IndexFunc(c.Ports, func(p core.ContainerPort) bool { return p.Name == probe.HTTPGet.Port.StrVal })
		// The default of WEBHOOK_ADMIN_LISTEN.
		if port < 0 || c.Ports[port].ContainerPort != 8080 {
			t.Errorf("%s is asked for at %v of %v", path, probe.HTTPGet.Port, c.Ports)
		}
	}
}

// sidecarAccepts runs `config` with exactly this environment.
func sidecarAccepts(t *testing.T, variables map[string]string) {
	t.Helper()
	program := os.Getenv("SIDECAR")
	if program == "" {
		t.Fatal("SIDECAR does not name the program: start tests/manifests/run.sh")
	}
	command := exec.Command(program, "config")
	command.Env = []string{}
	for name, value := range variables {
		command.Env = append(command.Env, name+"="+value)
	}
	var complaints bytes.Buffer
	command.Stderr = &complaints
	shown, err := command.Output()
	for line := range strings.Lines(complaints.String()) {
		// No Secret is mounted here.
		if absent := variables["RFC2136_KERBEROS_KEYTAB"] + " cannot be read now"; strings.TrimSpace(line) != "" && !strings.Contains(line, absent) {
			t.Error(line)
		}
	}
	if err != nil {
		t.Errorf("%v: %s\n%v", err, &complaints, variables)
	}
	for name := range variables {
		if !strings.Contains(string(shown), name) {
			t.Errorf("%s is of no consequence", name)
		}
	}
}
