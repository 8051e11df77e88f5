/**
 * What makes and checks the signature of the binary. On Apple silicon the kernel kills a program
 * whose signature is invalid, and compilers have written such ones.
 */
export interface SigningStep {
  readonly command: readonly [name: string, ...args: ReadonlyArray<string>]
  /** Whether a failure says nothing: there may be no signature to remove. */
  readonly mayFail?: true
}

/** Returns the steps after the compiler. The binary is run at last, since a valid file may still not start. */
export const signingPlan = (platform: string, binary: string): ReadonlyArray<SigningStep> => [
  ...(platform === "darwin" ? codesign(binary) : []),
  { command: [binary, "version"] }
]

const codesign = (binary: string): ReadonlyArray<SigningStep> => [
  { command: ["codesign", "--remove-signature", binary], mayFail: true },
  { command: ["codesign", "--force", "--sign", "-", binary] },
  { command: ["codesign", "--verify", "--strict", binary] }
]
