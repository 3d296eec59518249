// Go's promhttp, as in its documentation. Lines on stdin give the workload (src/load.rs), then commands until stdin
// ends (src/serve.rs). fetch.sh builds it.

// Without this line and a go.mod, the defaults are those of Go 1.20.
//
//go:debug default=go1.27
package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// The version of client_golang. The linker sets it.
var client = "?"

var gathers atomic.Int64

// Counts gathers. Describes and collects nothing.
type counting struct{}

func (counting) Describe(chan<- *prometheus.Desc) {}

func (counting) Collect(chan<- prometheus.Metric) { gathers.Add(1) }

func numbers(fields []string) []float64 {
	values := make([]float64, len(fields))
	for at, field := range fields {
		value, err := strconv.ParseFloat(field, 64)
		if err != nil {
			panic(err)
		}
		values[at] = value
	}
	return values
}

func register(lines *bufio.Scanner) {
	var labels []string
	var buckets []float64
	var counters *prometheus.CounterVec
	var histograms *prometheus.HistogramVec
	for lines.Scan() && lines.Text() != "" {
		fields := strings.Split(lines.Text(), "\t")
		switch fields[0] {
		case "labels":
			labels = fields[1:]
		case "buckets":
			buckets = numbers(fields[1:])
		case "counter":
			counters = prometheus.NewCounterVec(prometheus.CounterOpts{Name: fields[1], Help: fields[2]}, labels)
			histograms = nil
			prometheus.MustRegister(counters)
		case "histogram":
			opts := prometheus.HistogramOpts{Name: fields[1], Help: fields[2], Buckets: buckets}
			histograms = prometheus.NewHistogramVec(opts, labels)
			prometheus.MustRegister(histograms)
		case "metric":
			values, told := fields[1:1+len(labels)], numbers(fields[1+len(labels):])
			if histograms == nil {
				counters.WithLabelValues(values...).Add(told[0])
				continue
			}
			histogram := histograms.WithLabelValues(values...)
			for _, value := range told {
				histogram.Observe(value)
			}
		}
	}
}

// The host program's own work: it ticks each millisecond and notes its delay.
type ticker struct {
	lock sync.Mutex
	late []time.Duration
	stop chan struct{}
}

func (t *ticker) run(stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		start := time.Now()
		time.Sleep(time.Millisecond)
		t.lock.Lock()
		t.late = append(t.late, time.Since(start)-time.Millisecond)
		t.lock.Unlock()
	}
}

func (t *ticker) report() string {
	t.lock.Lock()
	defer t.lock.Unlock()
	sort.Slice(t.late, func(a, b int) bool { return t.late[a] < t.late[b] })
	n := len(t.late)
	if n == 0 {
		return "-"
	}
	rank := (n*999 + 999) / 1000
	return fmt.Sprintf("%d %d %d", t.late[rank-1].Nanoseconds(), t.late[n-1].Nanoseconds(), n)
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "version" {
		fmt.Printf("%s (%s)\n", client, runtime.Version())
		return
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	register(lines)
	prometheus.MustRegister(counting{})

	start := time.Now()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	http.Handle("/metrics", promhttp.Handler())
	server := &http.Server{}
	go server.Serve(listener)
	connection, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		panic(err)
	}
	connection.Close()
	fmt.Println("ready", listener.Addr().(*net.TCPAddr).Port, time.Since(start).Nanoseconds())

	var t ticker
	for lines.Scan() {
		switch lines.Text() {
		case "gathers":
			fmt.Println(gathers.Load())
		case "tick":
			t.stop = make(chan struct{})
			go t.run(t.stop)
			fmt.Println("ok")
		case "tock":
			close(t.stop)
			fmt.Println("ok")
		case "ticks":
			fmt.Println(t.report())
		case "stop":
			start := time.Now()
			if err := server.Shutdown(context.Background()); err != nil {
				panic(err)
			}
			fmt.Println(time.Since(start).Nanoseconds())
		default:
			fmt.Println("-")
		}
	}
}
