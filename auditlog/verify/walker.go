package verify

import (
	"github.com/gateway18789/caddy-ollama/auditlog/chain"
	"github.com/gateway18789/caddy-ollama/auditlog/lines"
)

// place is one in the chain: a line's number, and what its hash may be.
type place struct {
	sequence uint64
	// hashes are one if the line is sound. If not, the hash it has and those it should
	// have had: which of them was changed tells the line that follows. None if the line
	// is missing or destroyed.
	hashes []chain.Hash
	// loose says that a line that does not follow need not be the one at fault.
	loose bool
}

// walker follows the chain. Each line is looked at together with the one behind it,
// which tells a line that was added from one whose number was changed, and from lines
// that are missing.
type walker struct {
	head   *chain.Head
	limit  int
	report *Report
	// reading is the index of the file that is read.
	reading int

	spare, current *item // current waits for the line behind it

	begun bool
	at    place
	// aside is where the log was left by lines that are out of place; it may go on there.
	aside *place
	// destroyed counts the lines since at that are none any more.
	destroyed uint64
	last      *item // the last line that was taken
}

// add looks at the line before the given one.
func (w *walker) add(line lines.Line) {
	w.report.Lines++
	w.file(line.File).Lines++
	next := w.spare
	if next == nil {
		next = new(item)
	}
	next.set(line)
	w.spare = w.current
	if w.current != nil {
		w.look(w.current, next)
	}
	w.current = next
}

// look finds what is wrong with a line; next is the one behind it, nil at the end.
func (w *walker) look(l, next *item) {
	if l.fault != nil {
		w.lookAtFault(l, next)
		return
	}
	if l.number == 1 && l.opening == nil {
		w.find(l, NoOpening, "the file does not begin with the line that opens it")
	}
	var following *chain.Link
	if next != nil && next.fault == nil {
		following = &next.sealed.Link
	}
	if !w.begun {
		w.begin(l, following)
	}
	number, expected := l.sealed.Sequence, w.at.sequence+1
	switch {
	case w.at.takes(l):
		w.take(l, l.sealed.Hash)
	case w.aside != nil && w.aside.takes(l):
		w.aside = nil
		w.take(l, l.sealed.Hash)
	case w.destroyed > 0 && number == expected+w.destroyed, number == expected && w.at.tellsNothing():
		w.takeUnchecked(l)
	case number == expected:
		w.find(l, Changed, "line %d of the log, or the one before it, is not as it was written: its event.hash does not fit", number)
		w.take(l, w.at.hashesOf(l)...)
	case following != nil && following.Sequence == expected+1:
		w.find(l, Misplaced, "event.sequence is %d where %d should be: it was changed, or another line stands here", number, expected)
		w.at = place{expected, []chain.Hash{l.sealed.Hash}, true}
		w.destroyed = 0
	case number == w.at.sequence && following != nil && following.Sequence == expected:
		w.find(l, Misplaced, "line %d of the log is there twice: this one, or the one before it, was added", number)
		w.at.hashes = append(w.at.hashes, l.sealed.Hash) // the line behind it tells which
	case following != nil && following.Sequence == expected:
		w.find(l, Misplaced, "line %d of the log stands before line %d: it was added or moved here", number, expected)
	case number > expected:
		w.missing(l, expected)
		w.takeUnchecked(l)
	default:
		w.comeAgain(l, following)
	}
}

// takes tells whether the line is the sound one behind the place.
func (p place) takes(l *item) bool {
	if l.sealed.Sequence != p.sequence+1 {
		return false
	}
	for _, hash := range p.hashes {
		if l.follows(hash) {
			return true
		}
	}
	return false
}

// mostHashes bounds what a long run of changed lines costs.
const mostHashes = 16

// hashesOf are what the hash of a line may be that was changed: the one it has, and the
// one it should have behind each that may be right. So, behind lines in a row whose
// hashes were changed, one that was not is none of them.
func (p place) hashesOf(l *item) []chain.Hash {
	hashes := []chain.Hash{l.sealed.Hash}
	for _, before := range p.hashes[:min(len(p.hashes), mostHashes-1)] {
		hashes = append(hashes, l.sealed.HashAfter(before))
	}
	return hashes
}

// tellsNothing tells whether nobody knows what the hash of the line should be.
func (p place) tellsNothing() bool { return p.loose || len(p.hashes) == 0 }

// lookAtFault is for what is no line of the log.
func (w *walker) lookAtFault(l, next *item) {
	if l.kind == Unfinished && next == nil {
		w.note(l, Unfinished, "%v; the log ends before it", l.fault)
		return
	}
	w.find(l, l.kind, "%v", l.fault)
	w.destroyed++
}

// begin finds the place before the first line.
func (w *walker) begin(l *item, following *chain.Link) {
	w.begun = true
	w.at.sequence = l.sealed.Sequence - 1
	if !l.provesItself() && following != nil && following.Sequence >= 2 {
		w.at.sequence = following.Sequence - 2 // the number of this one may have been changed
	}
	if w.at.sequence == 0 {
		w.at.hashes = []chain.Hash{{}} // the log begins here
	}
	w.report.First = w.at.sequence + 1
	if w.head != nil && w.report.First > w.head.First+w.destroyed {
		w.find(l, Missing, "the log begins with line %d, but its head tells of line %d: %s missing, name all files of the log, or the oldest were deleted",
			w.report.First, w.head.First, areLines(w.report.First-w.head.First))
	}
	w.destroyed = 0
}

// missing is for a gap before the line.
func (w *walker) missing(l *item, expected uint64) {
	number := l.sealed.Sequence
	if number == expected+1 {
		w.find(l, Missing, "line %d of the log is missing before this one, which is %d", expected, number)
		return
	}
	w.find(l, Missing, "lines %d to %d of the log are missing before this one, which is %d", expected, number-1, number)
}

// comeAgain is for a line that the log has left behind.
func (w *walker) comeAgain(l *item, following *chain.Link) {
	w.find(l, Misplaced, "line %d of the log comes after line %d: it was added or moved here", l.sealed.Sequence, w.at.sequence)
	if following == nil || following.Sequence != l.sealed.Sequence+1 {
		return
	}
	// more than one line: they are followed for themselves
	if w.aside == nil {
		left := w.at
		w.aside = &left
	}
	w.takeUnchecked(l)
}

// take goes on from a line.
func (w *walker) take(l *item, hashes ...chain.Hash) {
	w.at = place{sequence: l.sealed.Sequence, hashes: hashes}
	w.destroyed = 0
	w.arrive(l)
}

// takeUnchecked goes on from a line that follows nothing that is known. One that opens a
// file says itself what came before.
func (w *walker) takeUnchecked(l *item) {
	hashes := []chain.Hash{l.sealed.Hash}
	switch {
	case l.opening == nil:
		w.report.Unchecked++
	case !l.provesItself():
		w.find(l, Changed, "line %d of the log is not as it was written: its event.hash does not fit", l.sealed.Sequence)
		hashes = append(hashes, l.sealed.HashAfter(l.opening.Previous))
	}
	w.take(l, hashes...)
}

// arrive looks at what a line says once its place is known.
func (w *walker) arrive(l *item) {
	if w.last == nil {
		w.last = new(item)
	}
	w.last.file, w.last.number, w.last.sealed.Link = l.file, l.number, l.sealed.Link
	w.span(l)
	if w.head != nil && l.sealed.Sequence == w.head.Sequence && l.sealed.Hash != w.head.Hash {
		w.find(l, BadHead, "line %d is not the one of which the head tells", w.head.Sequence)
	}
	w.lookAtEvent(l)
}

// span widens the numbers that the log and its files have.
func (w *walker) span(l *item) {
	number := l.sealed.Sequence
	w.report.Last = max(w.report.Last, number)
	f := w.file(l.file)
	if f.First == 0 {
		f.First = number
	}
	f.First, f.Last = min(f.First, number), max(f.Last, number)
}

// file is what is said of a file. Only the one that is read changes.
func (w *walker) file(name string) *File {
	for w.report.Files[w.reading].Name != name {
		w.reading = (w.reading + 1) % len(w.report.Files)
	}
	return &w.report.Files[w.reading]
}

// end looks at the last line, and whether the log ends where its head says.
func (w *walker) end() {
	if w.current != nil {
		w.look(w.current, nil)
	}
	h, place := w.head, w.last
	if w.current != nil && w.current.kind == Unfinished {
		place = w.current
	}
	switch {
	case w.last == nil:
		w.find(nil, Missing, "there is no line of an audit log")
	case h == nil:
	case w.report.Last+w.destroyed < h.Sequence:
		w.find(place, Missing, "the log ends with line %d, but its head tells of line %d: %s missing at the end",
			w.report.Last, h.Sequence, areLines(h.Sequence-w.report.Last))
	case w.report.Last > h.Sequence: // that the head's own line is missing was found before
		w.report.AfterHead = w.report.Last - h.Sequence
	}
}
