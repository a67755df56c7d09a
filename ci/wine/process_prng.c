/* bcryptprimitives.dll for Wine before 9.0, which has none. Rust's standard library takes its random numbers from
 * ProcessPrng, the one function of that DLL that it needs; Windows has it. RtlGenRandom, exported as SystemFunction036,
 * gives numbers as good, under an older name. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T length)
{
    while (length > 0) {
        ULONG part = length > MAXLONG ? MAXLONG : (ULONG)length; /* a ULONG has 32 bits, a SIZE_T 64 */
        if (!SystemFunction036(buffer, part))
            return FALSE;
        buffer += part;
        length -= part;
    }
    return TRUE;
}
