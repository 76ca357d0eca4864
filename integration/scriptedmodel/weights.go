package scriptedmodel

// contextLength is how many tokens the model claims to handle. Ollama serves a
// smaller context unless it is asked for more.
const contextLength = 32768

// feedForwardLength is the width of the feed-forward layer, whose weights are
// all zero; it only has to be there.
const feedForwardLength = 64

// scripted is the weight of the token the script says next. After the final
// norm a weight of 1 means a logit of about the square root of the embedding
// length (some 18), so that no temperature, penalty or logit bias in reach of
// an API request lets another token win.
const scripted = 4096

// layOut makes the GGUF file of a vocabulary: the metadata that the llama
// architecture and the gpt2 tokenizer demand, and the tensors.
func layOut(name string, v *vocabulary) *ggufFile {
	size := len(v.tokens)
	f := &ggufFile{}
	f.setString("general.architecture", "llama")
	f.setString("general.name", name)
	f.setUint32("general.file_type", 0) // all tensors are F32
	f.setUint32("llama.block_count", 1)
	f.setUint32("llama.context_length", contextLength)
	f.setUint32("llama.embedding_length", uint32(size))
	f.setUint32("llama.feed_forward_length", feedForwardLength)
	f.setUint32("llama.attention.head_count", uint32(size/headSize))
	f.setUint32("llama.attention.head_count_kv", 1)
	f.setFloat32("llama.attention.layer_norm_rms_epsilon", 1e-5)
	f.setUint32("llama.rope.dimension_count", headSize)
	f.setUint32("llama.vocab_size", uint32(size))
	f.setString("tokenizer.ggml.model", "gpt2")
	f.setString("tokenizer.ggml.pre", "qwen2")
	f.setStrings("tokenizer.ggml.tokens", v.tokens)
	f.setTokenTypes("tokenizer.ggml.token_type", v.types)
	// The loader wants merges, and none may apply: prompts stay single bytes.
	// This one would merge two NUL bytes into a token that does not exist.
	nul := visible("\x00")
	f.setStrings("tokenizer.ggml.merges", []string{nul + " " + nul})
	f.setUint32("tokenizer.ggml.bos_token_id", turnToken)
	f.setUint32("tokenizer.ggml.eos_token_id", endToken)
	f.setBool("tokenizer.ggml.add_bos_token", false)

	// GGUF names the fastest-changing dimension first: a matrix of {in, out}
	// has one row of "in" numbers for each of the "out" results.
	f.addTensor("token_embd.weight", identity(size), size, size)
	f.addTensor("blk.0.attn_norm.weight", ones(size), size)
	f.addTensor("blk.0.attn_q.weight", zeros(size, size), size, size)
	f.addTensor("blk.0.attn_k.weight", zeros(size, headSize), size, headSize)
	f.addTensor("blk.0.attn_v.weight", zeros(size, headSize), size, headSize)
	f.addTensor("blk.0.attn_output.weight", zeros(size, size), size, size)
	f.addTensor("blk.0.ffn_norm.weight", ones(size), size)
	f.addTensor("blk.0.ffn_gate.weight", zeros(size, feedForwardLength), size, feedForwardLength)
	f.addTensor("blk.0.ffn_up.weight", zeros(size, feedForwardLength), size, feedForwardLength)
	f.addTensor("blk.0.ffn_down.weight", zeros(feedForwardLength, size), feedForwardLength, size)
	f.addTensor("output_norm.weight", ones(size), size)
	f.addTensor("output.weight", successors(v), size, size)
	return f
}

// successors is the output matrix: the row of a token says how much the model
// wants to say it after each of the other tokens.
func successors(v *vocabulary) []float32 {
	size := len(v.tokens)
	matrix := zeros(size, size)
	for next := range size {
		row := matrix[next*size : (next+1)*size]
		for current := range row {
			row[current] = fallback(next)
		}
	}
	for current, next := range v.successor {
		matrix[next*size+current] = scripted
	}
	return matrix
}

// fallback is the weight of a token when the script does not decide: after a
// prompt that no script expects, the model ends its answer; and where a JSON
// grammar forbids both the script and the end, it takes what finishes the
// document soonest, so that "format" gives the same short, valid JSON each
// time. The steps are wide enough for the default repeat penalty of 1.1.
func fallback(token int) float32 {
	switch token {
	case endToken:
		return 1024
	case '"':
		return 512
	case '}':
		return 256
	case ']':
		return 128
	case '0':
		return 64
	}
	if token > ' ' && token <= '~' {
		return 32 - float32(token-' ')/8 // the lower character first
	}
	return 0
}

func zeros(in, out int) []float32 {
	return make([]float32, in*out)
}

func ones(length int) []float32 {
	vector := make([]float32, length)
	for i := range vector {
		vector[i] = 1
	}
	return vector
}

func identity(size int) []float32 {
	matrix := zeros(size, size)
	for i := range size {
		matrix[i*size+i] = 1
	}
	return matrix
}
