package main

// allocated is what a process has allocated since it began, by Go's own count.
type allocated struct {
	Objects float64 `json:"Mallocs"` // as in expvar's memstats
	Bytes   float64 `json:"TotalAlloc"`
}

// plus is this and so many times another.
func (a allocated) plus(times float64, b allocated) allocated {
	return allocated{a.Objects + times*b.Objects, a.Bytes + times*b.Bytes}
}

// times is this so many times.
func (a allocated) times(n float64) allocated { return allocated{}.plus(n, a) }
