/** What holds where the configuration says nothing. docs/configuration.md and `renderConfig` show these values. */
export const DEFAULTS = {
  transport: 'ssh2',
  channels: 'auto',
  oneFilesystem: true,
  honourMarkers: true,
  interval: '20h',
  retention: { days: 14, instances: 7, months: 12, years: 4 },
  freezeWhenGone: '50%',
  freezeWhenChanged: '50%',
  blockChange: '8M',
  window: '60s',
  snapshot: { provider: 'auto', lvmSize: { share: 0.1 } },
} as const;
