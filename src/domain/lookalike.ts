/**
 * Names that look alike and are different: an accent that is composed or not, which depends on
 * the keyboard, wide letters, invisible characters, and blanks at the ends.
 */

/** Returns for each name the existing ones that look like it. */
export const lookalikes = (
  names: ReadonlyArray<string>,
  existing: ReadonlyArray<string>
): ReadonlyArray<readonly [name: string, other: string]> => {
  const byLook = Map.groupBy(existing, lookOf)
  return names.flatMap((name) =>
    (byLook.get(lookOf(name)) ?? []).flatMap((other) => (other === name ? [] : [[name, other] as const]))
  )
}

const lookOf = (name: string): string =>
  /^[!-~]*$/.test(name)
    ? name
    : name
        .normalize("NFKC")
        .replaceAll(/\p{DI}/gu, "")
        .trim()
