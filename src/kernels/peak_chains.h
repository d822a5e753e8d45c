// Chains of one instruction, for each instruction set's file to include inside its anonymous namespace: code
// that two files share could be compiled for the wider set and run on a CPU without it.
// NOLINTBEGIN(llvm-header-guard) No include guard on purpose.

/// Keeps the compiler from seeing that a register holds what it held before; no instruction results.
template <typename Register>
void opaque(Register& value) {
  asm volatile("" : "+v"(value));
}

/// sum = step(sum, operand) on `Chains` independent sums, `rounds` times.
template <int Chains, typename Register, typename Step>
void run_chains(std::int64_t rounds, Register zero, Register operand, const Step& step) {
  [&]<int... Chain>(std::integer_sequence<int, Chain...>) {
    Register sums[Chains] = {(static_cast<void>(Chain), zero)...};
    for (std::int64_t r = 0; r < rounds; ++r)
      ((opaque(operand), sums[Chain] = step(sums[Chain], operand)), ...);
    (opaque(sums[Chain]), ...);
  }
  (std::make_integer_sequence<int, Chains>{});
}
// NOLINTEND(llvm-header-guard)
