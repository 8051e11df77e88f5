/**
 * What `secrets show` prints of a secret, in a pipe: exact times, no value.
 */
import { assert, describe, it } from "@effect/vitest"
import { linesOfSecret, type ShownSecret } from "../../../src/cli/commands/show.ts"

const now = Date.parse("2026-11-30T12:00:00Z")
const secret: ShownSecret = {
  name: "github_token",
  description: undefined,
  kind: "token",
  form: "GitHub token",
  valid_until: undefined,
  length: 40,
  lines: 1,
  ending: "none",
  fingerprint: "0123456789ab",
  created_at: "2026-11-01T12:00:00Z",
  updated_at: "2026-11-28T12:00:00Z",
  last_rotated: "0001-01-01T00:00:00Z",
  rotate_via: undefined,
  rotate_stdout: undefined,
  proxy_only: undefined,
  active_leases: 0,
  leases: [],
  last_lease: undefined,
  searched_all: true
}

describe("a shown secret", () => {
  it("has a line for everything that is known", () => {
    const lines = linesOfSecret(
      {
        ...secret,
        description: "deploys the site",
        rotate_via: "./rotate",
        rotate_stdout: true,
        last_rotated: "2026-11-28T12:00:00Z",
        active_leases: 2,
        leases: ["ci", "deploy"].map((client_id) => ({
          lease_id: "57e7cffb-eaea-424f-93dc-a3d421c94118",
          client_id,
          created_at: "2026-11-30T11:50:00Z",
          expires_at: "2026-11-30T12:42:00Z"
        })),
        last_lease: { client_id: "deploy", leased_at: "2026-11-30T11:50:00Z" }
      },
      now
    )
    assert.deepStrictEqual(lines, [
      "github_token",
      "  description  deploys the site",
      "  kind         token: GitHub token",
      "  length       40 bytes, 1 line, no white space at the end",
      "  fingerprint  0123 4567 89ab",
      "  set          2026-11-28T12:00:00Z, 2d ago",
      "  rotated      2026-11-28T12:00:00Z, 2d ago",
      "  rotation     ./rotate   (its output is the new value)",
      "  last leased  2026-11-30T11:50:00Z, 10m ago, by deploy",
      "  leased by    deploy, for 42m more",
      "               ci, for 42m more"
    ])
  })

  it("says what never happened, what is too old and what cannot be seen", () => {
    const text = (more: Partial<ShownSecret>) => linesOfSecret({ ...secret, ...more }, now).join("\n")
    assert.include(text({}), "  rotated      never\n  last leased  never")
    assert.notInclude(text({ searched_all: false }), "last leased")
    assert.include(text({ ending: "carriage return", length: 1 }), "1 byte, 1 line, a carriage return at the end")
    const certificate = { kind: "certificate", form: "certificate (PEM)" }
    assert.include(
      text({ ...certificate, valid_until: "2026-12-02T12:00:00Z" }),
      "valid until 2026-12-02T12:00:00Z (2d)"
    )
    assert.include(text({ ...certificate, valid_until: "2026-11-29T12:00:00Z" }), ", EXPIRED 2026-11-29T12:00:00Z")
    const hidden = text({ length: undefined, lines: undefined, fingerprint: undefined })
    assert.notMatch(hidden, /length|fingerprint/)
  })
})
