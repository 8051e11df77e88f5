/**
 * secrets add: adds one secret, or every variable of a dotenv file (`addMany`).
 *
 * The value comes from --value, --file, a pipe or a prompt, and is never part of a
 * message.
 */
import * as Effect from "effect/Effect"
import { quote } from "../../../domain/goText.ts"
import { call } from "../../../rpc/client/client.ts"
import { literal, optional } from "../../../domain/shape.ts"
import { defineCommand } from "../../command/Command.ts"
import type { GlobalArgs } from "../../command/settingsFile.ts"
import { failUsage, fromClient } from "../../command/CommandError.ts"
import { lookBeforeAsking } from "../../command/lookBeforeAsking.ts"
import { loadDaemon } from "../../command/settings.ts"
import { aboutValues, asksForValue, checkRotationFlags, secretFlags, valueFromArgs } from "./readValue.ts"
import { warnOfLookalikes } from "./warnOfLookalikes.ts"

const addedExample = { success: literal(true), looks_like: optional([["", ""] as const]) }
const exampleHint = "For example: secrets add github_token"

export const addCommand = defineCommand({
  name: "add",
  summary: "Add a secret to the store",
  positionals: "[NAME]",
  arity: [0, 1],
  flags: {
    ...secretFlags,
    "from-env": { type: "string", value: "PATH", summary: "add each variable of a dotenv file", completes: "file" },
    prefix: { type: "string", value: "TEXT", summary: "with --from-env: put this before each name" },
    update: { type: "boolean", summary: "update secrets that already exist" },
    only: { type: "string", value: "NAME,…", summary: "with --from-env: add only these variables; * is any text" },
    except: { type: "string", value: "NAME,…", summary: "with --from-env: leave these variables out" },
    "skip-empty": { type: "boolean", summary: "with --from-env: leave out variables without a value" },
    "dry-run": { type: "boolean", summary: "with --from-env: print what would be added, and add nothing" },
    project: {
      type: "string",
      value: "PATH",
      summary: "with --from-env: write the .secrets.json that goes with it, into this directory",
      completes: "file"
    },
    force: { type: "boolean", summary: "accept a NAME that begins with a dash or has control characters" }
  },
  examples: [
    "secrets add github_token",
    "secrets add tls_key --file key.pem",
    "secrets add --from-env .env --update",
    "secrets add --from-env .env --only 'DB_*,API_KEY' --prefix shop/ --project ."
  ],
  about: aboutValues,
  run: Effect.fnUntraced(function* (args) {
    const [named] = args.positionals
    const file = args.option("from-env")
    if (file !== undefined) {
      if (
        named !== undefined ||
        singleSecretFlags.some((flag) => args.option(flag) !== undefined) ||
        args.flag("proxy-only")
      ) {
        return yield* failUsage("--from-env excludes NAME and flags of one secret", "secrets add --from-env PATH")
      }
      const { addMany } = yield* Effect.promise(() => import("./addMany.ts"))
      return yield* addMany(yield* loadDaemon(args), {
        file,
        prefix: args.option("prefix") ?? "",
        only: wordsIn(args.option("only")),
        except: wordsIn(args.option("except")) ?? [],
        skipEmpty: args.flag("skip-empty"),
        update: args.flag("update") || args.flag("force"),
        dryRun: args.flag("dry-run"),
        project: args.option("project"),
        isTimeoutGiven: args.option("timeout") !== undefined
      })
    }
    const requested = named === undefined && asksForValue(args) ? yield* requestedName(args) : undefined
    const name = named ?? requested
    if (name === undefined) return yield* failUsage("NAME is missing", exampleHint)
    const stray =
      importFlags.find((flag) => args.option(flag) !== undefined) ?? importSwitches.find((flag) => args.flag(flag))
    if (stray !== undefined) return yield* failUsage(`--${stray} requires --from-env`, "secrets add --from-env PATH")
    if (name === "") return yield* failUsage("the name of a secret cannot be empty", exampleHint)
    if (isHardToType(name) && !args.flag("force")) {
      return yield* failUsage(
        `the name ${quote(name)} begins with a dash or contains control characters`,
        "Choose another name, or add --force"
      )
    }
    yield* checkRotationFlags(args)
    const daemon = yield* loadDaemon(args)
    const mayUpdate = args.flag("update") || requested !== undefined
    if (!mayUpdate && asksForValue(args)) yield* lookBeforeAsking(daemon, name, "absent")
    const value = yield* valueFromArgs(args, name)
    const rotateVia = args.option("rotate-via") ?? ""
    const hook = rotateVia === "" ? {} : { rotate_via: rotateVia, rotate_stdout: args.flag("rotate-stdout") }
    const description = args.option("description")
    const params = { name, value, ...hook, description, ...(args.flag("proxy-only") && { proxy_only: true }) }
    const adding = call(daemon, "secrets.add", params, addedExample)
    const given = { rotate_via_set: rotateVia !== "", description_set: description !== undefined }
    const updating = call(daemon, "secrets.update", { ...params, ...given }, { success: literal(true) })
    const added = yield* adding.pipe(
      Effect.catchIf(
        (error) => mayUpdate && error._tag === "RequestRejected" && error.tag === "SecretExists",
        () => Effect.as(updating, undefined)
      ),
      Effect.mapError(fromClient)
    )
    warnOfLookalikes(added?.looks_like ?? [])
    const became = added === undefined ? "updated" : "added"
    return { lines: [`${became} ${quote(name)}`], result: { name, rotate_via: rotateVia, became } }
  })
})

/** Asks which of the secrets that clients wait for is meant. */
const requestedName = Effect.fnUntraced(function* (args: GlobalArgs) {
  const { offerRequested } = yield* Effect.promise(() => import("./offerRequested.ts"))
  return yield* offerRequested(yield* loadDaemon(args))
})

const singleSecretFlags = ["value", "file", "rotate-via", "description"] as const
const importFlags = ["prefix", "only", "except", "project"] as const
const importSwitches = ["skip-empty", "dry-run"] as const

const wordsIn = (list: string | undefined): ReadonlyArray<string> | undefined =>
  list?.split(",").filter((word) => word !== "")

/** Returns whether a person rarely means this name. The daemon accepts it for existing callers. */
const isHardToType = (name: string): boolean => /^-|\p{Cc}/u.test(name)
