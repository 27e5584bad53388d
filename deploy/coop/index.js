// A plug-in of ROOST Coop: each category of modstream is a signal for images. docs/review-tools.md says how to use it.

"use strict";

const ID = "MODSTREAM";

// As long as Coop's own signals wait: a rule holds an item in memory while it runs.
const TIMEOUT_MS = 5_000;

// Several signals of one rule look at one image, one after the other: it is judged once.
const REMEMBER_MS = 60_000;
const MAX_REMEMBERED = 1_000;

// Those of service/policy/taxonomy.py, in its order.
const CATEGORIES = {
  child_safety: "Sexual or exploitative depiction of anyone who is or looks under age",
  sexual_explicit: "Sexual acts, or genitals shown to arouse; drawings too",
  nudity_nonexplicit: "Bare or barely covered bodies without a sexual act",
  swimwear_underwear: "Swimwear or underwear, worn or for sale",
  violence: "People hurting or threatening people",
  graphic_disturbing: "Gore, corpses, open wounds and other sights that shock",
  weapons: "Firearms, blades made to fight with, explosives",
  self_harm: "Suicide, self-injury, or the encouragement of either",
  hate_symbols: "Symbols and slogans of hatred against a group",
  harassment_gesture: "Insulting gestures, humiliation of a person",
  drugs_tobacco: "Illegal drugs, their use and its tools; tobacco and vaping",
  alcohol: "Alcoholic drinks and drinking",
  gambling: "Betting, casinos, slot machines, lotteries",
  animal_cruelty: "Animals hurt, baited or kept in torment",
  illegal_activity: "Crimes shown, offered or taught that no other category names",
  privacy_pii: "Papers, cards or screens that show who a private person is",
  ip_counterfeit: "Counterfeit goods, pirated works, misused brands",
  spam_scam_overlay: "Contact details, codes or promises laid over the picture to lure people elsewhere",
};

const FLAGGED = `${ID}_FLAGGED`;
const typeOf = (category) => `${ID}_${category.toUpperCase()}`;

const manifest = {
  id: ID,
  name: "modstream",
  version: "1.0.0",
  description: "Scores and decisions of your own modstream service for images.",
  requiresConfig: true,
  configurationFields: [
    { key: "url", label: "URL", required: true, inputType: "text", placeholder: "https://modstream.internal:8080" },
    { key: "apiKey", label: "API key", required: true, inputType: "password", description: "Needs the scope moderate." },
    { key: "policy", label: "Policy", required: false, inputType: "text", description: "By name; else the tenant's." },
  ],
  signalTypeIds: [FLAGGED, ...Object.keys(CATEGORIES).map(typeOf)],
};

async function requestVerdict({ url, apiKey, policy }, imageUrl) {
  const response = await fetch(new URL("/v1/verdicts", url), {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${apiKey}` },
    body: JSON.stringify({ image: { url: imageUrl }, ...(policy ? { policy } : {}) }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`modstream answers ${response.status} ${answer.error?.code}: ${answer.error?.message}`);
  return answer.verdict;
}

function rememberingVerdicts() {
  const remembered = new Map();
  return (config, imageUrl) => {
    const name = JSON.stringify([config.url, config.apiKey, config.policy, imageUrl]);
    const known = remembered.get(name);
    if (known !== undefined && known.until > Date.now()) return known.verdict;
    const verdict = requestVerdict(config, imageUrl);
    remembered.delete(name);
    remembered.set(name, { verdict, until: Date.now() + REMEMBER_MS });
    verdict.catch(() => remembered.delete(name));
    if (remembered.size > MAX_REMEMBERED) remembered.delete(remembered.keys().next().value);
    return verdict;
  };
}

function scoreOf(verdict, category) {
  const score = verdict.scores[category];
  // Zero would say that the image is harmless, which no model has looked at.
  if (score === undefined) throw new Error(`modstream has no score for ${category}: its engine does not cover it`);
  return score;
}

function createSignals({ integrationId, getCredential }) {
  const verdictOf = rememberingVerdicts();

  const signal = (type, displayName, description, scalarType, read) => {
    const outputType = { scalarType };
    return {
      signalTypeId: type,
      signal: {
        id: { type },
        displayName,
        description,
        docsUrl: null,
        recommendedThresholds: null,
        supportedLanguages: "ALL",
        pricingStructure: { type: "FREE" },
        eligibleInputs: ["IMAGE"],
        outputType,
        getCost: () => 20,
        needsMatchingValues: false,
        eligibleSubcategories: [],
        needsActionPenalties: false,
        integration: integrationId,
        allowedInAutomatedRules: true,
        async run({ orgId, value }) {
          const config = (await getCredential(orgId)) ?? {};
          return { outputType, score: read(await verdictOf(config, value.value.url)) };
        },
        async getDisabledInfo(orgId) {
          const { url, apiKey } = (await getCredential(orgId)) ?? {};
          if (url && apiKey) return { disabled: false };
          return { disabled: true, disabledMessage: "Set the URL and the API key of modstream in its integration." };
        },
      },
    };
  };

  return [
    signal(
      FLAGGED,
      "modstream: flagged",
      "True where the policy calls for review or block, or no model judged the image.",
      "BOOLEAN",
      (verdict) => verdict.decision !== "allow",
    ),
    ...Object.entries(CATEGORIES).map(([category, meaning]) =>
      signal(
        typeOf(category),
        `modstream: ${category}`,
        `${meaning}. A score between 0 and 1; an error where the engine does not cover the category.`,
        "NUMBER",
        (verdict) => scoreOf(verdict, category),
      ),
    ),
  ];
}

module.exports = { manifest, createSignals };
