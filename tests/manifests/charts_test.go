package manifests

import (
	"archive/zip"
	"encoding/json"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
)

// release is a version of ExternalDNS's module, which holds the official chart.
type release struct{ chart, module, sum string }

var (
	oldChart = release{"1.21.1", "v0.22.0", "h1:+ASJ3KF7DLqHo2LsG8Qinuh2J389MS86I19i/r8ewUc="}
	newChart = release{"1.22.0", "v0.23.0", "h1:35KyAZtLN8o5nIE0aPKfyhILbf5HHkKPJby/4FowPJM="}
)

// load reads the chart from the module's archive: the module itself may want a newer Go than runs here.
func (r release) load(t *testing.T) *chart.Chart {
	t.Helper()
	const root = "sigs.k8s.io/external-dns"
	output, _ := exec.Command("go", "mod", "download", "-json", root+"@"+r.module).Output()
	var module struct{ Zip, Sum, Error string }
	if err := json.Unmarshal(output, &module); err != nil || module.Zip == "" {
		t.Fatalf("go mod download %s@%s: %s", root, r.module, output)
	}
	if module.Sum != r.sum {
		t.Fatalf("%s@%s is %s, not %s", root, r.module, module.Sum, r.sum)
	}
	archive, err := zip.OpenReader(module.Zip)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	var files []*loader.BufferedFile
	for _, file := range archive.File {
		name, found := strings.CutPrefix(file.Name, root+"@"+r.module+"/charts/external-dns/")
		if found {
			files = append(files, &loader.BufferedFile{Name: name, Data: read(t, file)})
		}
	}
	loaded, err := loader.LoadFiles(files)
	if err != nil {
		t.Fatal(err)
	}
	if loaded.Metadata.Version != r.chart {
		t.Fatalf("%s holds chart %s, not %s", r.module, loaded.Metadata.Version, r.chart)
	}
	return loaded
}

func read(t *testing.T, file *zip.File) []byte {
	t.Helper()
	reader, err := file.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	data, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// render is what `helm install --namespace external-dns --values FILE` sends, or what keeps it from doing so.
func (r release) render(t *testing.T, file string) ([]object, error) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(deploy, file))
	if err != nil {
		t.Fatal(err)
	}
	values, err := chartutil.ReadValues(text)
	if err != nil {
		t.Fatal(err)
	}
	return r.renderValues(t, values)
}

func (r release) renderValues(t *testing.T, values chartutil.Values) ([]object, error) {
	t.Helper()
	loaded := r.load(t)
	options := chartutil.ReleaseOptions{Name: "external-dns", Namespace: namespace, IsInstall: true}
	// Judges the values by the chart's schema.
	all, err := chartutil.ToRenderValues(loaded, values, options, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	rendered, err := engine.Render(loaded, all)
	if err != nil {
		return nil, err
	}
	var objects []object
	for _, name := range slices.Sorted(maps.Keys(rendered)) {
		if strings.HasSuffix(name, ".yaml") {
			objects = append(objects, decode(t, []byte(rendered[name]))...)
		}
	}
	return objects, nil
}

func TestTheValuesForHelmAreAWholeDeployment(t *testing.T) {
	for _, release := range []release{oldChart, newChart} {
		t.Run(release.chart, func(t *testing.T) {
			objects, err := release.render(t, "helm-values.yaml")
			if err != nil {
				t.Fatal(err)
			}
			isWhole(t, objects)
			arguments := externalDNS(t, objects)
			if arguments.Registry != "txt" || arguments.Policy != "upsert-only" || arguments.TXTPrefix == "" {
				t.Errorf("%+v", arguments)
			}
			spec := deployment(t, objects).Spec.Template.Spec
			if release == newChart && len(spec.HostAliases) == 0 {
				t.Error("a domain controller's address is not in the pod's /etc/hosts")
			}
			if !slices.Contains(monitored(t, objects), "http-webhook") {
				t.Error("the sidecar's metrics are not scraped")
			}
		})
	}
}

func TestTheValuesForTheRegistryOfCustomResourcesAreAWholeDeployment(t *testing.T) {
	objects, err := newChart.render(t, "helm-values-crd.yaml")
	if err != nil {
		t.Fatal(err)
	}
	isWhole(t, objects)
	if registry := externalDNS(t, objects).Registry; registry != "crd" {
		t.Error(registry)
	}
	if read := environment(t, objects)["RFC2136_READ"]; read != "none" {
		t.Errorf("RFC2136_READ is %q", read)
	}
	if !slices.Contains(resources(objects), "dnsrecords") {
		t.Error("ExternalDNS may not keep its registry")
	}
	if _, err := oldChart.render(t, "helm-values-crd.yaml"); err == nil {
		t.Errorf("chart %s takes the registry, which the file says it does not", oldChart.chart)
	}
}

// Both files are whole, so that nothing has to be merged; what they share must not drift apart.
func TestTheTwoFilesOfValuesDifferInTheRegistryAlone(t *testing.T) {
	text, err := newChart.render(t, "helm-values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	custom, err := newChart.render(t, "helm-values-crd.yaml")
	if err != nil {
		t.Fatal(err)
	}
	with, without := environment(t, custom), environment(t, text)
	delete(with, "RFC2136_READ")
	if !maps.Equal(with, without) {
		t.Errorf("%v\n%v", with, without)
	}
	first, second := deployment(t, text), deployment(t, custom)
	for _, spec := range []*podSpec{&first.Spec.Template.Spec, &second.Spec.Template.Spec} {
		for i := range spec.Containers {
			spec.Containers[i].Args, spec.Containers[i].Env = nil, nil
		}
	}
	if a, b := mustJSON(t, first), mustJSON(t, second); a != b {
		t.Errorf("%s\n%s", a, b)
	}
}

func TestAPolicyHasToBeChosen(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(deploy, "helm-values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	values, err := chartutil.ReadValues([]byte(strings.Replace(string(text), "\npolicy: upsert-only", "\npolicy: upsert", 1)))
	if err != nil {
		t.Fatal(err)
	}
	for _, release := range []release{oldChart, newChart} {
		if _, err := release.renderValues(t, values); err == nil || !strings.Contains(err.Error(), "policy") {
			t.Errorf("%s: %v", release.chart, err)
		}
	}
}
