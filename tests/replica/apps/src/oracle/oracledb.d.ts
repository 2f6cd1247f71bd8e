/** As much of node-oracledb as is used here. */
declare module 'oracledb' {
  interface PoolAttributes {
    user: string;
    password: string;
    connectString: string;
    configDir?: string;
    poolMin: number;
    poolMax: number;
    poolIncrement: number;
    poolTimeout: number;
    poolPingInterval: number;
    poolPingTimeout: number;
    queueTimeout: number;
    connectTimeout: number;
    transportConnectTimeout: number;
  }
  interface ExecuteOptions {
    autoCommit?: boolean;
    maxRows?: number;
    outFormat?: number;
  }
  interface ExecuteResult {
    rows?: Record<string, unknown>[];
    rowsAffected?: number;
  }
  interface Connection {
    callTimeout: number;
    readonly oracleServerVersionString: string;
    execute(text: string, binds: Record<string, string>, options: ExecuteOptions): Promise<ExecuteResult>;
    close(): Promise<void>;
  }
  interface Pool {
    getConnection(): Promise<Connection>;
    close(drainTime: number): Promise<void>;
  }
  const oracledb: {
    OUT_FORMAT_OBJECT: number;
    initOracleClient(options: { libDir: string }): void;
    createPool(attributes: PoolAttributes): Promise<Pool>;
  };
  export default oracledb;
  export type { Connection, ExecuteOptions, ExecuteResult, Pool };
}
