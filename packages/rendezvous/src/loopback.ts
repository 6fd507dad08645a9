/** Whether a plain address is the machine's own. */
export const isLoopback = (ip: string): boolean => ip.startsWith('127.') || ip === '::1'
