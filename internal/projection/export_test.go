package projection

// Tune sets how many events a replay folds at a time and about how many bytes of
// rows stay in memory, and returns what undoes it.
func Tune(batch, memory int) (undo func()) {
	batchBefore, rowsBefore, chunkBefore := replayBatch, rowMemory, chunkMemory
	replayBatch, rowMemory, chunkMemory = batch, memory, memory/2
	return func() { replayBatch, rowMemory, chunkMemory = batchBefore, rowsBefore, chunkBefore }
}
