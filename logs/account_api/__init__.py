"""The account API in the shape that CometAPI's published clients speak: account, keys, log, tasks.

Reads only. Who asks shows an access token, which is a key of kind *account*. Amounts are quota units, of which 500,000 make
a dollar (pricing/quota.py), times are Unix seconds. The fields are those that the clients read.
"""
