package ollamaadapter

// Stop ends the answers that are under way, as the end of the process does. Those that
// begin afterwards are of a process that goes on.
func Stop() {
	ended := exit
	exit = newExit()
	ended.cancel()
}
