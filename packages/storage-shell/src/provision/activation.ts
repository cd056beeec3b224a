import type { System } from '../ports/system.ts';
import { fileStep } from './file-steps.ts';
import type { Step } from './steps.ts';
import { hasSystemd, isEnabled, UNIT_FOLDER, unitTemplate } from './units.ts';

const TEMPLATE = 'bakker-volumes@.service';

/**
 * Steps that have the group's volumes activated at each start, whatever an initrd made of them. Nothing is to be done
 * without systemd: nobody waits for devices there.
 */
export function activationSteps(system: System, vg: string): Step[] {
  const path = `${UNIT_FOLDER}/${TEMPLATE}`;
  const unit = activationUnit(vg);
  const write = fileStep(system, {
    title: `write ${path}`,
    path,
    text: async (existing) => existing ?? (await unitTemplate(system, TEMPLATE)),
    options: () => ({ mode: 0o644 }),
  });
  return [
    { ...write, isDone: async () => !(await hasSystemd(system)) || (await write.isDone()) },
    {
      title: `have ${vg} activated at each start`,
      lines: [`systemctl enable ${unit}`],
      isDone: async () => !(await hasSystemd(system)) || (await isEnabled(system, unit)),
      do: async () => {
        await system.run(['systemctl', 'enable', '--quiet', unit]);
      },
      undo: async () => {
        await system.try(['systemctl', 'disable', '--quiet', unit]);
      },
    },
  ];
}

/** The reverse, once no account has a volume in the group. */
export function endActivationStep(system: System, vg: string, isUsed: () => Promise<boolean>): Step {
  const unit = activationUnit(vg);
  return {
    title: `no longer have ${vg} activated at each start`,
    lines: [`systemctl disable ${unit}`],
    isDone: async () => !(await hasSystemd(system)) || !(await isEnabled(system, unit)) || (await isUsed()),
    do: async () => {
      await system.run(['systemctl', 'disable', '--quiet', unit]);
    },
  };
}

/** `bakker-volumes@my\x2dgroup.service`: what a unit's name can't hold, or reads as a slash, is escaped. */
export function activationUnit(vg: string): string {
  const escaped = vg.replace(
    /^\.|[^A-Za-z0-9_.]/g,
    (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
  return `bakker-volumes@${escaped}.service`;
}
