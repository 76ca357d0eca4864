package ollamaadapter

// Start makes what follows that of a process that has just begun.
func Start() { exit, upstreams = newExit(), new(sights) }

// Stop ends the answers that are under way, as the end of the process does. Those that
// begin afterwards are of a process that goes on.
func Stop() {
	ended := exit
	exit = newExit()
	ended.cancel()
}
