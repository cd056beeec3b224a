import type { AccountName } from './account-name.ts';
import { checkAgentYaml } from './agent-yaml.ts';
import { fileStep } from './file-steps.ts';
import { mustBeRoot } from './installation.ts';
import { lockFile } from './places.ts';
import { agentConfigFile, privateFileOptions } from './policy-file.ts';
import type { ProvisionTools } from './provision.ts';
import { mustReadRecord } from './registry.ts';
import type { Registry } from './registry.ts';
import { runSteps } from './steps.ts';
import type { StepOutcome } from './steps.ts';

/** What the account's server is told; undefined if nothing is. @throws StorageError NOT_FOUND */
export async function readAgentConfig(name: AccountName, registry: Registry): Promise<string | undefined> {
  const record = await mustReadRecord(registry, name);
  return registry.system.readText(agentConfigFile(record));
}

/**
 * Sets what the account's server is told, or takes it away. The file is root's; the account may read it.
 *
 * @throws StorageError DENIED, NOT_FOUND, CONFIG_INVALID, LOCKED
 */
export async function changeAgentConfig(
  { name, text }: { name: AccountName; text: string | undefined },
  { registry, signal, note }: ProvisionTools,
): Promise<readonly StepOutcome[]> {
  const { system, places } = registry;
  mustBeRoot(system);
  const record = await mustReadRecord(registry, name);
  const path = agentConfigFile(record);
  if (text !== undefined) checkAgentYaml(text, 'the configuration');
  const step =
    text === undefined
      ? {
          title: `remove ${path}`,
          lines: [`rm -f ${path}`],
          isDone: async () => (await system.inspect(path)) === undefined,
          do: () => system.removeFile(path),
        }
      : fileStep(system, {
          title: `write ${path}`,
          path,
          text: () => text,
          options: () => privateFileOptions(system, record),
        });
  return system.exclusively(lockFile(places), () => runSteps([step], { isDryRun: false, signal, note }));
}
