/**
 * The presets of routes: for services that many people use, the upstream, the slot, the placeholder, and
 * which paths make further credentials. The variables of their clients are the business of `exec`.
 */
import type { Injection, ProxyPresetName, ProxyRoute } from "./ProxyRoute.ts"

/** What a preset says in place of the user. */
export interface ProxyPreset extends Pick<ProxyRoute, "inject" | "placeholder" | "deny"> {
  readonly upstream: string
}

const bearer: Injection = { kind: "bearer" }

/** Denied is what makes further credentials: they would be in the answer, and no mask knows them. */
export const proxyPresets: Readonly<Record<ProxyPresetName, ProxyPreset>> = {
  openai: {
    upstream: "https://api.openai.com",
    inject: bearer,
    placeholder: "sk-",
    deny: [
      "/v1/realtime/client_secrets",
      "/v1/realtime/sessions",
      "/v1/realtime/transcription_sessions",
      "/v1/chatkit/sessions",
      "/v1/organization/**"
    ]
  },
  anthropic: {
    upstream: "https://api.anthropic.com",
    inject: { kind: "header", name: "x-api-key", format: "{}" },
    placeholder: "sk-ant-",
    deny: ["/v1/organizations/**"]
  },
  github: {
    upstream: "https://api.github.com",
    inject: bearer,
    placeholder: "",
    deny: [
      "/app/installations/*/access_tokens",
      "/app-manifests/**",
      "/applications/**",
      "/user/keys",
      "/user/gpg_keys",
      "/user/ssh_signing_keys",
      "/repos/*/*/keys",
      "/**/actions/runners/registration-token",
      "/**/actions/runners/remove-token",
      "/**/actions/runners/generate-jitconfig",
      "/orgs/*/personal-access-token-requests/**",
      "/admin/**"
    ]
  },
  git: {
    upstream: "https://github.com",
    inject: { kind: "basic", user: "x-access-token" },
    placeholder: "",
    deny: ["/login/**", "/settings/**"]
  },
  npm: {
    upstream: "https://registry.npmjs.org",
    inject: bearer,
    placeholder: "npm_",
    deny: ["/-/npm/v1/tokens/**", "/-/npm/v1/oidc/**", "/-/user/**", "/-/v1/login/**"]
  },
  stripe: {
    upstream: "https://api.stripe.com",
    inject: bearer,
    placeholder: "sk_test_",
    deny: [
      "/v1/ephemeral_keys/**",
      "/v1/account_sessions",
      "/v1/customer_sessions",
      "/v1/terminal/connection_tokens",
      "/v1/webhook_endpoints/**",
      "/v1/apps/secrets/**",
      "/v2/core/**"
    ]
  }
}
