package projection

// Tune sets how many events a replay folds at a time and about how many bytes of
// rows stay in memory, and returns what undoes it.
func Tune(batch, memory int) (undo func()) {
	batchBefore, memoryBefore := replayBatch, rowMemory
	replayBatch, rowMemory = batch, memory
	return func() { replayBatch, rowMemory = batchBefore, memoryBefore }
}
