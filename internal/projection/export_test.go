package projection

// KeepRows sets how many rows of a table stay from chunk to chunk, and returns
// what undoes it.
func KeepRows(n int) (undo func()) {
	before := keptRows
	keptRows = n
	return func() { keptRows = before }
}
