package current

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
)

const (
	groupVersion = "externaldns.k8s.io/v1alpha1"
	collection   = "/apis/" + groupVersion + "/namespaces/default/dnsrecords"
)

type object = map[string]any

// apiServer is as much of a Kubernetes API server as --registry=crd asks for: discovery, and DNSRecord objects of one
// namespace that are created, read, updated, deleted, listed and watched.
type apiServer struct {
	kubeConfig string
	mutex      sync.Mutex
	version    int
	records    map[string]object
	watchers   map[chan object]bool
}

func startAPIServer(t *testing.T) *apiServer {
	t.Helper()
	server := &apiServer{records: map[string]object{}, watchers: map[chan object]bool{}}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /api", answer(object{"kind": "APIVersions", "versions": []string{}}))
	group := object{
		"kind": "APIGroup", "apiVersion": "v1", "name": "externaldns.k8s.io",
		"versions":         []object{{"groupVersion": groupVersion, "version": "v1alpha1"}},
		"preferredVersion": object{"groupVersion": groupVersion, "version": "v1alpha1"},
	}
	routes.HandleFunc("GET /apis", answer(object{"kind": "APIGroupList", "apiVersion": "v1", "groups": []object{group}}))
	routes.HandleFunc("GET /apis/externaldns.k8s.io", answer(group))
	routes.HandleFunc("GET /apis/"+groupVersion, answer(object{
		"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": groupVersion,
		"resources": []object{{"name": "dnsrecords", "singularName": "dnsrecord", "namespaced": true, "kind": "DNSRecord",
			"verbs": []string{"create", "delete", "get", "list", "update", "watch"}}},
	}))
	routes.HandleFunc("GET "+collection, server.list)
	routes.HandleFunc("POST "+collection, server.create)
	routes.HandleFunc("GET "+collection+"/{name}", server.get)
	routes.HandleFunc("PUT "+collection+"/{name}", server.update)
	routes.HandleFunc("PUT "+collection+"/{name}/status", server.updateStatus)
	routes.HandleFunc("DELETE "+collection+"/{name}", server.delete)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	// The registry's cache never ends, so its connections are closed and not waited for.
	web := &http.Server{Handler: routes}
	go func() { _ = web.Serve(listener) }()
	t.Cleanup(func() { web.Close() })
	server.kubeConfig = filepath.Join(t.TempDir(), "kubeconfig")
	config := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c"}}],`+
		`"clusters":[{"name":"c","cluster":{"server":"http://%s"}}]}`, listener.Addr())
	if err := os.WriteFile(server.kubeConfig, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return server
}

// ready are the endpoints of all records that are said to be in DNS.
func (server *apiServer) ready() (endpoints []string) {
	server.mutex.Lock()
	defer server.mutex.Unlock()
	for _, record := range server.records {
		status, _ := record["status"].(object)
		conditions, _ := status["conditions"].([]any)
		if slices.ContainsFunc(conditions, func(condition any) bool { return condition.(object)["status"] == "True" }) {
			endpoints = append(endpoints, fmt.Sprint(record["spec"].(object)["endpoint"]))
		}
	}
	slices.Sort(endpoints)
	return endpoints
}

// list also watches, from the present state on, which is how today's clients begin.
func (server *apiServer) list(writer http.ResponseWriter, request *http.Request) {
	if request.FormValue("watch") != "" {
		server.watch(writer, request)
		return
	}
	server.mutex.Lock()
	defer server.mutex.Unlock()
	reply(writer, http.StatusOK, object{
		"kind": "DNSRecordList", "apiVersion": groupVersion, "metadata": object{"resourceVersion": strconv.Itoa(server.version)},
		"items": slices.Collect(maps.Values(server.records)),
	})
}

func (server *apiServer) watch(writer http.ResponseWriter, request *http.Request) {
	events := make(chan object, 1000)
	server.mutex.Lock()
	server.watchers[events] = true
	if request.FormValue("sendInitialEvents") == "true" {
		for _, record := range server.records {
			events <- object{"type": "ADDED", "object": maps.Clone(record)}
		}
		events <- object{"type": "BOOKMARK", "object": object{"kind": "DNSRecord", "apiVersion": groupVersion, "metadata": object{
			"resourceVersion": strconv.Itoa(server.version), "annotations": object{"k8s.io/initial-events-end": "true"}}}}
	}
	server.mutex.Unlock()
	defer func() {
		server.mutex.Lock()
		defer server.mutex.Unlock()
		delete(server.watchers, events)
	}()
	writer.Header().Set("Content-Type", "application/json")
	flusher := writer.(http.Flusher)
	flusher.Flush()
	for {
		select {
		case event := <-events:
			_ = json.NewEncoder(writer).Encode(event)
			flusher.Flush()
		case <-request.Context().Done():
			return
		}
	}
}

func (server *apiServer) create(writer http.ResponseWriter, request *http.Request) {
	record := read(request)
	name := record["metadata"].(object)["name"].(string)
	server.mutex.Lock()
	defer server.mutex.Unlock()
	if server.records[name] != nil {
		refuse(writer, http.StatusConflict, "AlreadyExists")
		return
	}
	record["metadata"].(object)["uid"] = name
	delete(record, "status")
	server.store(writer, http.StatusCreated, "ADDED", name, record)
}

func (server *apiServer) get(writer http.ResponseWriter, request *http.Request) {
	server.mutex.Lock()
	defer server.mutex.Unlock()
	if record := server.records[request.PathValue("name")]; record != nil {
		reply(writer, http.StatusOK, record)
		return
	}
	refuse(writer, http.StatusNotFound, "NotFound")
}

func (server *apiServer) update(writer http.ResponseWriter, request *http.Request) {
	server.replace(writer, request, "spec")
}

func (server *apiServer) updateStatus(writer http.ResponseWriter, request *http.Request) {
	server.replace(writer, request, "status")
}

// replace takes one part of a record from the request, as long as it was made from the record as it is now.
func (server *apiServer) replace(writer http.ResponseWriter, request *http.Request, part string) {
	record, name := read(request), request.PathValue("name")
	server.mutex.Lock()
	defer server.mutex.Unlock()
	stored := server.records[name]
	switch {
	case stored == nil:
		refuse(writer, http.StatusNotFound, "NotFound")
	case record["metadata"].(object)["resourceVersion"] != stored["metadata"].(object)["resourceVersion"]:
		refuse(writer, http.StatusConflict, "Conflict")
	default:
		changed := maps.Clone(stored)
		changed[part] = record[part]
		server.store(writer, http.StatusOK, "MODIFIED", name, changed)
	}
}

func (server *apiServer) delete(writer http.ResponseWriter, request *http.Request) {
	name := request.PathValue("name")
	server.mutex.Lock()
	defer server.mutex.Unlock()
	record := server.records[name]
	if record == nil {
		refuse(writer, http.StatusNotFound, "NotFound")
		return
	}
	server.store(writer, http.StatusOK, "DELETED", name, record)
	delete(server.records, name)
}

func (server *apiServer) store(writer http.ResponseWriter, code int, event, name string, record object) {
	server.version++
	record = maps.Clone(record)
	metadata := maps.Clone(record["metadata"].(object))
	metadata["resourceVersion"] = strconv.Itoa(server.version)
	record["metadata"] = metadata
	server.records[name] = record
	for watcher := range server.watchers {
		watcher <- object{"type": event, "object": record}
	}
	reply(writer, code, record)
}

func read(request *http.Request) object {
	var record object
	if err := json.NewDecoder(request.Body).Decode(&record); err != nil {
		panic(err)
	}
	return record
}

func answer(value object) http.HandlerFunc {
	return func(writer http.ResponseWriter, _ *http.Request) { reply(writer, http.StatusOK, value) }
}

func refuse(writer http.ResponseWriter, code int, reason string) {
	reply(writer, code, object{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code})
}

func reply(writer http.ResponseWriter, code int, value object) {
	writer.Header().Set("Content-Type", "application/json")
	writer.WriteHeader(code)
	_ = json.NewEncoder(writer).Encode(value)
}
